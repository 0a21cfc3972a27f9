// A file, mapped.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "depickle/base/source.h"
#include "depickle/os/file_descriptor.h"

namespace depickle::os {

/// A regular file, mapped read-only and private. It must not be truncated while it is open: access to pages that no
/// longer exist raises SIGBUS.
class MappedFile final : public ByteSource {
 public:
  /// Throws Error{not_found, io}; Error{unsupported} if it is not a regular file.
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  /// The same for an open file. `name` is the file's name in errors.
  static std::shared_ptr<const MappedFile> adopt(FileDescriptor file, std::string name);
  ~MappedFile() override;

  uint64_t size_bytes() const noexcept override { return size_bytes_; }
  bool is_file() const noexcept override { return true; }

  /// Compares the file's size and modification time with those at opening.
  void check_unchanged() const override;

  int descriptor() const noexcept { return file_.get(); }

 private:
  struct Stamp {
    uint64_t device, inode;
    int64_t modified_ns;
  };
  MappedFile(std::string name, FileDescriptor file, const std::byte* data, uint64_t size_bytes, Stamp stamp);
  Bytes do_view(uint64_t offset, uint64_t length) const override { return {data_ + offset, length}; }
  void do_read(uint64_t offset, MutableBytes out) const override;

  FileDescriptor file_;
  const std::byte* data_;
  uint64_t size_bytes_;
  Stamp stamp_;
};

/// Maps all pages of `mapped` in one system call instead of one page fault for every few pages. A hint that may fail.
void prefault(Bytes mapped) noexcept;

}  // namespace depickle::os
