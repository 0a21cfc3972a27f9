// What a commit adds, opened for reading: a file, or a text in memory that reads like one.
#pragma once

#include <string>

#include "depickle/base/bytes.h"
#include "depickle/hub/commit.h"

namespace depickle::hub {

class Content {
 public:
  /// Throws Error{not_found, io}.
  explicit Content(const Addition& addition);
  ~Content();
  Content(Content&& other) noexcept;
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;
  Content& operator=(Content&&) = delete;

  int fd() const noexcept { return fd_; }
  uint64_t size_bytes() const noexcept { return size_bytes_; }
  /// Throws Error{integrity} where the file has become shorter.
  void read(uint64_t offset, MutableBytes out) const;
  /// [offset, offset + length), in base64.
  std::string base64(uint64_t offset, uint64_t length) const;

 private:
  std::string name_;
  int fd_ = -1;
  uint64_t size_bytes_ = 0;
};

}  // namespace depickle::hub
