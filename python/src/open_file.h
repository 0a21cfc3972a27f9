// A safetensors file that is open for a framework: its tensors are made here.
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
  mmap,       ///< tensors lie in the mapped file
  pread,      ///< tensors have memory of their own, filled by reads
};

/// How tensors are to come. The names are the user's; what is none raises SafetensorError in upstream's words.
struct Wanted {
  FrameworkName framework;
  nb::object device;  ///< what the framework takes; invalid for the CPU
  Backend backend;

  static Wanted of(std::string_view framework, nb::handle device, const std::optional<std::string>& backend);
};

/// Does not change; from several threads.
class OpenFile {
 public:
  using Entry = safetensors::Entry;

  /// Throws SafetensorError for a file that is refused; OSError for one that cannot be read.
  OpenFile(std::shared_ptr<const os::MappedFile> source, Wanted wanted);

  const safetensors::Header& header() const noexcept { return header_; }
  /// Throws SafetensorError where there is none.
  const Entry& at(std::string_view name) const;

  nb::object tensor(const Entry& entry) const;
  /// {name: tensor}, in the order given.
  nb::dict tensors(std::span<const Entry* const> entries) const;
  /// tensor(entry)[index], of which nothing else is read.
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
  nb::object mapping_object_;  // invalid where the backend is pread
  const Mapping* mapping_ = nullptr;
};

}  // namespace depickle::python
