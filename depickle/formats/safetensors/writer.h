// Writing a safetensors file, tensor by tensor or piece by piece, without holding it in memory.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "depickle/formats/safetensors/layout.h"
#include "depickle/os/atomic_file.h"

namespace depickle::safetensors {

/// A file being written. It has its name only after commit(); without that, nothing is left behind.
class Writer {
 public:
  /// Takes a sibling of `target`, reserves its space and writes the header. Throws what AtomicFile does.
  static Writer create(const std::filesystem::path& target, FilePlan plan, os::IfExists if_exists);

  const FilePlan& plan() const noexcept { return plan_; }

  /// Writes bytes [offset, offset + bytes.size()) of the tensor that was number `spec`. Each byte is written once, in any
  /// order, from any thread. Throws Error{integrity} where they end beyond the tensor, or more were written than it has.
  void write(uint32_t spec, uint64_t offset, Bytes bytes);

  /// Waits until everything written is on the disk; it can be read back at temporary_path() then.
  void sync() const { file_.sync(); }
  /// Gives the file its name. Throws Error{integrity} where bytes of a tensor are missing, and what AtomicFile::commit does.
  void commit();

  const std::filesystem::path& temporary_path() const noexcept { return file_.temporary_path(); }
  const std::filesystem::path& target_path() const noexcept { return file_.target_path(); }

 private:
  Writer(os::AtomicFile file, FilePlan plan);

  os::AtomicFile file_;
  FilePlan plan_;
  std::vector<Place> by_spec_;
  std::unique_ptr<std::atomic<uint64_t>[]> written_bytes_;  ///< of each spec
};

/// A tensor with its bytes, in C order.
struct Source {
  TensorSpec spec;
  Bytes bytes;
};

/// Writes a whole file. Throws Error{malformed} ST16 where the bytes of a tensor are not what dtype and shape need, and what
/// plan_file and Writer throw.
void save(const std::filesystem::path& target, std::span<const Source> tensors,
    const std::optional<Metadata>& metadata = std::nullopt, os::IfExists if_exists = os::IfExists::refuse,
    uint64_t align_bytes = 8);

}  // namespace depickle::safetensors
