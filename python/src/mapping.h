// A private mapping of a file, which torch and numpy tensors point into and keep alive.
#pragma once

#include <memory>
#include <optional>

#include "depickle/os/mapped_file.h"
#include "python/src/bind.h"
#include "python/src/truncation_guard.h"

namespace depickle::python {

/// A writable, private mapping of a file (copy on write, no swap reserved): writing to its tensors does not change the
/// file. The Python object supports the buffer protocol (writable, format "B"), so torch.frombuffer and
/// numpy.frombuffer keep it alive, and the file is unmapped when the last tensor is freed.
class Mapping {
 public:
  /// Maps the open descriptor of `file`, so the validated file is the mapped one. Throws Error{io}.
  explicit Mapping(std::shared_ptr<const os::MappedFile> file);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::byte* data() const noexcept { return data_; }
  uint64_t size_bytes() const noexcept { return size_bytes_; }
  const os::MappedFile& file() const noexcept { return *file_; }

  /// Throws OSError if the file is known to be truncated. Every read calls it first.
  void check() const {
    if (guard_) guard_->check();
  }

 private:
  std::shared_ptr<const os::MappedFile> file_;
  std::byte* data_;
  uint64_t size_bytes_;
  std::optional<TruncationGuard> guard_;  // nullopt for an empty file
};

/// Returns a Python object that owns a new Mapping.
nb::object make_mapping(std::shared_ptr<const os::MappedFile> file);
/// Returns the Mapping of an object from make_mapping().
const Mapping& mapping_of(nb::handle object) noexcept;

}  // namespace depickle::python
