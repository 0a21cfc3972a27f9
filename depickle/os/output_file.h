// A file that is written at any offset and read back.
#pragma once

#include <memory>
#include <string>

#include "depickle/base/bytes.h"
#include "depickle/os/file_descriptor.h"
#include "depickle/os/mapped_file.h"

namespace depickle::os {

/// Whether written bytes must survive a power failure. `yes` waits for the disk.
enum class Durable { no, yes };

/// An open file to write. It does not know its path: AtomicFile renames it, a sandboxed process receives its
/// descriptor.
class OutputFile {
 public:
  /// Takes ownership of a descriptor that is open for reading and writing. `name` is the file's name in errors.
  OutputFile(FileDescriptor file, std::string name) : name_(std::move(name)), file_(std::move(file)) {}
  OutputFile(OutputFile&& other) noexcept = default;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  OutputFile& operator=(OutputFile&&) = delete;

  /// Sets the size of the file and allocates it on the disk if the file system supports that. Throws Error{io}
  /// (no_space) with the sizes.
  void allocate(uint64_t size_bytes) const;
  /// Writes all of `bytes` at `offset`. If `durable`, starts writing them to the disk without waiting. Thread-safe.
  /// Throws Error{io}; Error{integrity} if the bytes are in a mapped file that was truncated.
  void write(uint64_t offset, Bytes bytes, Durable durable = Durable::yes) const;
  /// Waits until everything written is on the disk.
  void sync() const;
  /// Throws Error{io} if the file system reports a failed write when a descriptor is closed, as NFS does. Does not wait
  /// for the disk.
  void check_written() const;
  /// Returns a new mapping of the file's current content.
  std::shared_ptr<const MappedFile> read_back() const;

  /// -1 after close().
  int descriptor() const noexcept { return file_.get(); }
  const std::string& name() const noexcept { return name_; }

 protected:
  void close() noexcept { file_.reset(); }

 private:
  std::string name_;
  FileDescriptor file_;
};

}  // namespace depickle::os
