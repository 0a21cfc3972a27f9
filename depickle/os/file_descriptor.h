// File descriptors, and reads and writes that are retried until they complete.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "depickle/base/bytes.h"

namespace depickle::os {

/// Owns a file descriptor and closes it. -1 means none.
class FileDescriptor {
 public:
  FileDescriptor() noexcept = default;
  explicit FileDescriptor(int descriptor) noexcept : descriptor_(descriptor) {}
  FileDescriptor(FileDescriptor&& other) noexcept : descriptor_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~FileDescriptor() { reset(); }

  int get() const noexcept { return descriptor_; }
  explicit operator bool() const noexcept { return descriptor_ >= 0; }
  /// Gives up ownership.
  int release() noexcept { return std::exchange(descriptor_, -1); }
  /// Closes the descriptor that it owns and takes ownership of `descriptor`.
  void reset(int descriptor = -1) noexcept;

 private:
  int descriptor_ = -1;
};

/// Opens a file with O_CLOEXEC. Throws Error{not_found, io}: "`what`: No such file or directory".
FileDescriptor open_file(
    const std::filesystem::path& path, int flags, mode_t mode = 0, std::string_view what = "cannot open");

/// Writes all of `bytes` at the descriptor's position. `name` is the file's name in errors. Throws Error{io};
/// Error{integrity} if the bytes are in a mapped file that was truncated.
void write_all(int descriptor, Bytes bytes, const std::string& name);
/// The same at `offset_bytes` from the start of the file.
void write_all_at(int descriptor, uint64_t offset_bytes, Bytes bytes, const std::string& name);

/// Reads from the descriptor's position until `out` is full or the file ends. Returns the number of bytes read.
/// Throws Error{io}.
size_t read_all(int descriptor, MutableBytes out, const std::string& name);
/// The same at `offset_bytes` from the start of the file.
size_t read_all_at(int descriptor, uint64_t offset_bytes, MutableBytes out, const std::string& name);

}  // namespace depickle::os
