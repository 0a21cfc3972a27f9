// Unnamed temporary files, for content that is too large for the heap.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "depickle/base/bytes.h"
#include "depickle/os/file_descriptor.h"

namespace depickle::os {

/// Returns the descriptor of an empty unnamed file, which is deleted when it is closed. Prefers a folder on a disk.
/// Throws Error{io}.
int open_scratch_file();

/// Makes all future scratch files be in `folder`. Call it before any thread is started.
void set_scratch_folder(std::filesystem::path folder);

/// Makes all future scratch space of this process parts of one file, which `open` opens on first use. A sandboxed
/// process receives this file from its parent. Call it before any thread is started.
void share_scratch_file(std::function<int()> open);

/// Space for content in an unnamed temporary file. The destructor frees it on the disk.
class ScratchSpace {
 public:
  /// Throws Error{io}.
  explicit ScratchSpace(uint64_t size_bytes);
  ~ScratchSpace();
  ScratchSpace(const ScratchSpace&) = delete;
  ScratchSpace& operator=(const ScratchSpace&) = delete;

  /// Writes all of `bytes` at `offset_bytes`. The caller stays within the size. Throws Error{io}.
  void write(uint64_t offset_bytes, Bytes bytes);
  /// Maps the space read-only; call it once, after the last write. The bytes are valid as long as this object.
  /// Throws Error{io}.
  Bytes map();

 private:
  uint64_t end_bytes() const noexcept;

  std::shared_ptr<const FileDescriptor> file_;
  uint64_t begin_bytes_ = 0;  ///< a multiple of the page size
  uint64_t size_bytes_;
  bool is_shared_;
  void* data_ = nullptr;
};

}  // namespace depickle::os
