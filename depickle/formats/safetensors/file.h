// A safetensors file, mapped: its tensors are read where they lie.
#pragma once

#include <filesystem>
#include <memory>

#include "depickle/formats/safetensors/header.h"
#include "depickle/os/mapped_file.h"

namespace depickle::safetensors {

/// Opening touches the header's bytes only. What is handed out lives as long as the File (bytes: as long as source()).
/// Reading from several threads is safe.
class File {
 public:
  /// Throws Error{not_found, denied, io, unsupported} where the file cannot be mapped, and what Header::read throws.
  static File open(const std::filesystem::path& path, Mode mode = Mode::reference);

  const Header& header() const noexcept { return header_; }
  /// The tensor's bytes, not copied. `entry` is one of header().entries().
  Bytes bytes(const Entry& entry) const {
    return source_->view(header_.data_begin() + entry.begin, entry.size_bytes());
  }

  const std::shared_ptr<const os::MappedFile>& source() const noexcept { return source_; }

 private:
  File(std::shared_ptr<const os::MappedFile> source, Header header)
      : source_(std::move(source)),
        header_(std::move(header)) {}

  std::shared_ptr<const os::MappedFile> source_;
  Header header_;
};

}  // namespace depickle::safetensors
