// A file in the making. Inside the store only.
#pragma once

#include <cstdint>
#include <filesystem>

#include "depickle/base/bytes.h"

namespace depickle::server {

/// Has a random name in the store's folder for temporaries, which is emptied when the store is opened; vanishes with this object
/// unless it was given its name. Errors throw Error{io}.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::filesystem::path& folder);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  void append(Bytes bytes);
  uint64_t size_bytes() const noexcept { return size_bytes_; }
  /// Exactly `out` bytes from `offset`.
  void read(uint64_t offset, MutableBytes out) const;
  /// Carries bytes, then name, to the disk. What has the name already is replaced.
  void become(const std::filesystem::path& target);

 private:
  std::filesystem::path path_;
  int fd_;
  uint64_t size_bytes_ = 0;
};

/// All of `bytes` at `offset`.
void write_at(int fd, uint64_t offset, Bytes bytes, const std::filesystem::path& file);
/// → how many bytes there were, at most `out`.
uint64_t read_at(int fd, uint64_t offset, MutableBytes out, const std::filesystem::path& file);
/// Carries `file` (written by `fd`) to the disk, gives it the name `target`, and carries that too.
void sync_and_rename(int fd, const std::filesystem::path& file, const std::filesystem::path& target);

}  // namespace depickle::server
