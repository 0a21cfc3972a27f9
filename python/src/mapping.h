// A file mapped for tensors to live in: the memory that torch and numpy tensors point into and keep alive.
#pragma once

#include <memory>
#include <optional>

#include "depickle/os/mapped_file.h"
#include "python/src/bind.h"
#include "python/src/truncation_guard.h"

namespace depickle::python {

/// The bytes of a file, mapped writable and private (copy on write, no swap reserved): tensors made of it may be
/// written to, the file never changes. As a Python object it has the buffer protocol (writable, format "B"), so
/// torch.frombuffer and numpy.frombuffer keep it, and with it the memory, alive: the mapping goes when the last tensor
/// goes.
class Mapping {
 public:
  /// Maps what `file` has open, so that what was validated is what is mapped. Throws Error{io}.
  explicit Mapping(std::shared_ptr<const os::MappedFile> file);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::byte* data() const noexcept { return data_; }
  uint64_t size_bytes() const noexcept { return size_bytes_; }
  const os::MappedFile& file() const noexcept { return *file_; }

  /// Throws OSError where the file is known to have been cut short. Every read asks first.
  void check() const {
    if (guard_) guard_->check();
  }

 private:
  std::shared_ptr<const os::MappedFile> file_;
  std::byte* data_;
  uint64_t size_bytes_;
  std::optional<CutFileGuard> guard_;  // none over an empty file
};

/// A Python object that owns a new Mapping.
nb::object make_mapping(std::shared_ptr<const os::MappedFile> file);
/// That of an object that make_mapping() made.
const Mapping& mapping_of(nb::handle object) noexcept;

}  // namespace depickle::python
