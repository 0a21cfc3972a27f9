// An open safetensors file, and its tensors in one framework.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/formats/safetensors/header.h"
#include "depickle/os/mapped_file.h"
#include "python/src/bind.h"
#include "python/src/frameworks.h"
#include "python/src/mapping.h"

namespace depickle::python {

enum class Backend {
  automatic,  ///< by the type of the file system
  mmap,       ///< tensors point into the mapped file
  pread,      ///< tensors are read into their own memory
};

/// Framework, device and backend of the tensors. of() parses the user's names; it throws SafetensorError with
/// upstream's message for an invalid one.
struct TensorOptions {
  FrameworkName framework;
  nb::object device;  ///< the framework's argument; invalid for the CPU
  Backend backend;

  static TensorOptions of(std::string_view framework, nb::handle device, const std::optional<std::string>& backend);
};

/// Immutable and thread-safe.
class OpenFile {
 public:
  using Entry = safetensors::Entry;

  /// Throws SafetensorError if the file is invalid, OSError if it cannot be read.
  OpenFile(std::shared_ptr<const os::MappedFile> source, TensorOptions options);

  const safetensors::Header& header() const noexcept { return header_; }
  /// Throws SafetensorError if the file does not contain the tensor.
  const Entry& at(std::string_view name) const;

  nb::object tensor(const Entry& entry) const;
  /// Returns {name: tensor}, in the order of `entries`.
  nb::dict tensors(std::span<const Entry* const> entries) const;
  /// Returns tensor(entry)[index], and reads only the indexed bytes.
  nb::object slice(const Entry& entry, nb::handle index) const;

 private:
  struct Shape;
  nb::object finish(nb::object view, Dtype dtype) const;
  nb::object gather(const Entry& entry, nb::handle index) const;
  nb::object in_place(const Entry& entry) const;
  const Framework& framework() const { return Framework::of(framework_); }
  bool is_torch() const noexcept { return framework_ == FrameworkName::torch; }
  void check() const;

  std::shared_ptr<const os::MappedFile> source_;
  safetensors::Header header_;
  FrameworkName framework_;
  nb::object device_;
  nb::object mapping_object_;  // invalid if the backend is pread
  const Mapping* mapping_ = nullptr;
};

}  // namespace depickle::python
