// The content of files that arrive in the body of a commit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "depickle/base/bytes.h"

namespace depickle::server::content {

/// Collects bytes in a temporary file, which is removed with the last Spool that uses it. The files of one commit
/// share a temporary file: a commit may have 25,000 files, too many for a buffer or a file descriptor each.
class Spool {
 public:
  /// `folder` contains the temporary file and is on the store's file system (Store::spool).
  Spool(std::filesystem::path folder, uint64_t max_bytes);
  /// Returns an empty Spool at the end of the same temporary file. After that, only the new one may be appended to.
  Spool following() const;
  ~Spool();
  Spool(Spool&&) noexcept;
  Spool& operator=(Spool&&) noexcept;

  /// Throws StoreError{too_large} beyond `max_bytes`, Error{io}.
  void append(Bytes bytes);
  uint64_t size_bytes() const noexcept;

  /// Calls `take` with the whole content, in pieces of at most 1 MiB.
  template <typename Take>
  void each_piece(Take take) const {
    std::string buffer;
    for (uint64_t offset = 0; offset < size_bytes();) {
      Bytes piece = read(offset, buffer);
      take(piece);
      offset += piece.size();
    }
  }
  /// Returns the whole content. Only for small content.
  std::string all() const;

 private:
  Bytes read(uint64_t offset, std::string& buffer) const;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace depickle::server::content
