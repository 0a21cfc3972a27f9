// Tables and errors of generated files, as text.
#pragma once

#include <memory>
#include <string>

#include "depickle/base/error.h"
#include "depickle/formats/torch/table.h"
#include "zips.h"

namespace depickle::torch {

inline std::shared_ptr<const ByteSource> source_of(std::string content) {
  auto owner = std::make_shared<const std::string>(std::move(content));
  return std::make_shared<MemorySource>("f", depickle::bytes(*owner), owner);
}

inline Table table_of(std::string file, const TableOptions& options = {}) {
  return read_table(source_of(std::move(file)), options);
}

/// "w F32[2,3]; b F32[3]@8 by [2]": the offset in bytes, the strides if they are not in C order, then the flags.
inline std::string listed(const Table& table) {
  auto joined = [](std::span<const uint64_t> numbers) {
    std::string out;
    for (uint64_t number : numbers) out += (out.empty() ? "" : ",") + std::to_string(number);
    return "[" + out + "]";
  };
  std::string out;
  for (const Tensor& tensor : table.tensors) {
    out += (out.empty() ? "" : "; ") + std::string(tensor.name) + " " + std::string(name(tensor.dtype)) +
           joined(tensor.shape);
    if (tensor.offset_bytes > 0) out += "@" + std::to_string(tensor.offset_bytes);
    if (!tensor.strides.empty()) out += " by " + joined(tensor.strides);
    if (tensor.conjugate) out += " conj";
    if (tensor.negate) out += " neg";
    if (tensor.swap) out += " swap";
  }
  return out;
}

/// "path (description, tensors)" of every unused part.
inline std::string unused_in(const Table& table) {
  std::string out;
  for (const Unused& each : table.unused)
    out += (out.empty() ? "" : "; ") + each.path + " (" + each.description + ", " + std::to_string(each.tensors) + ")";
  return out;
}

inline std::string unsupported_in(const Table& table) {
  std::string out;
  for (const Unsupported& each : table.unsupported) out += (out.empty() ? "" : "; ") + each.name + ": " + each.what;
  return out;
}

/// Returns the bytes of a contiguous tensor.
inline std::string content_of(const Table& table, size_t tensor = 0) {
  const Tensor& of = table.tensors.at(tensor);
  const Storage& storage = table.storages.at(of.storage);
  return std::string(text(storage.source->view(storage.offset_bytes + of.offset_bytes, of.size_bytes)));
}

inline Error error_of_file(std::string file, const TableOptions& options = {}) {
  try {
    return Error(Code::io, "", "accepted: " + listed(table_of(std::move(file), options)));
  } catch (const Error& error) {
    return error;
  }
}
inline std::string refusal(std::string file, const TableOptions& options = {}) {
  return error_of_file(std::move(file), options).what();
}

/// Returns the table of a torch zip that contains one value, as text.
inline std::string listed_zip(
    const std::string& value, const std::vector<std::pair<std::string, std::string>>& storages = {}) {
  return listed(table_of(made::torch_zip(value, storages)));
}
inline std::string refused_zip(
    const std::string& value, const std::vector<std::pair<std::string, std::string>>& storages = {}) {
  Error error = error_of_file(made::torch_zip(value, storages));
  return (error.rule().empty() ? "" : "[" + error.rule() + "] ") + error.message();
}

/// Contents of storages.
inline const std::string kFour = made::floats({1, 2, 3, 4}), kSix = made::floats({0, 1, 2, 3, 4, 5});
/// A float32 tensor of four elements in storage "0".
inline const std::string kTensor = made::vector("0", 4);

}  // namespace depickle::torch
