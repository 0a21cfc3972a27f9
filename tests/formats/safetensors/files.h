// Safetensors headers and files for the tests, and the errors for them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/formats/safetensors/header.h"
#include "depickle/formats/safetensors/layout.h"
#include "depickle/os/atomic_file.h"
#include "tests/error_of.h"
#include "tests/temporary_folder.h"

namespace depickle::safetensors {

/// Returns `{"dtype":"F32","shape":[1],"data_offsets":[0,4]}` or similar.
inline std::string info(
    std::string_view dtype, std::string_view shape, std::string_view offsets, std::string_view more = "") {
  return std::string("{\"dtype\":\"")
      .append(dtype)
      .append("\",\"shape\":")
      .append(shape)
      .append(",\"data_offsets\":")
      .append(offsets)
      .append(more)
      .append("}");
}

/// The header of one tensor of four bytes, "a".
inline const std::string kInfo = info("F32", "[1]", "[0,4]");
inline const std::string kOne = "{\"a\":" + kInfo + "}";

/// Returns the content of a file: length, header, `data_bytes` zeros.
inline std::string file_of(std::string_view header, size_t data_bytes = 0) {
  uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8).append(header).append(data_bytes, '\0');
}

/// Returns the content of a tensor, not copied.
inline Bytes content_of(const ByteSource& file, const Header& header, const Entry& entry) {
  return file.view(header.data_begin() + entry.begin, entry.size_bytes());
}

/// A tensor with its content, in C order.
struct TensorContent {
  TensorSpec spec;
  Bytes bytes;
};

/// Writes a file with the library's layout.
inline void save(const std::filesystem::path& target, std::span<const TensorContent> tensors,
    const std::optional<Metadata>& metadata = std::nullopt, os::IfExists if_exists = os::IfExists::refuse,
    uint64_t align_bytes = 8) {
  std::vector<TensorSpec> specs;
  for (const TensorContent& tensor : tensors) specs.push_back(tensor.spec);
  const FilePlan plan = plan_file(specs, metadata, align_bytes);
  for (const TensorContent& tensor : tensors) check_content_size(tensor.spec, tensor.bytes.size());
  os::AtomicFile file(target, plan.file_bytes, if_exists);
  file.write(0, bytes(plan.head));
  for (const Place& place : plan.places) file.write(place.begin, tensors[place.spec].bytes);
  file.commit();
}

inline Error refusal(std::string_view header, uint64_t data_bytes = 4, Mode mode = Mode::reference) {
  return error_of([&] { Header::parse(bytes(header), data_bytes, mode); });
}

/// Returns the rule that refuses the header, or "accepted".
inline std::string rule_of(std::string_view header, uint64_t data_bytes = 4, Mode mode = Mode::reference) {
  return refusal(header, data_bytes, mode).rule();
}

}  // namespace depickle::safetensors
