// Tables of made files, as text, and the errors that they end with.
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

/// "w F32[2,3]; b F32[3]@8 by [2]": the offset in bytes, strides where they are not those of C order, then the flags.
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

/// "path (description, tensors)" of each.
inline std::string left_in(const Table& table) {
  std::string out;
  for (const Unused& left : table.unused)
    out += (out.empty() ? "" : "; ") + left.path + " (" + left.description + ", " + std::to_string(left.tensors) + ")";
  return out;
}

inline std::string unsupported_in(const Table& table) {
  std::string out;
  for (const Unsupported& each : table.unsupported) out += (out.empty() ? "" : "; ") + each.name + ": " + each.what;
  return out;
}

/// The bytes of a contiguous tensor.
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

/// The table of a torch zip around one value, as text.
inline std::string listed_zip(
    const std::string& value, const std::vector<std::pair<std::string, std::string>>& storages = {}) {
  return listed(table_of(made::torch_zip(value, storages)));
}
inline std::string refused_zip(
    const std::string& value, const std::vector<std::pair<std::string, std::string>>& storages = {}) {
  Error error = error_of_file(made::torch_zip(value, storages));
  return (error.rule().empty() ? "" : "[" + error.rule() + "] ") + error.message();
}

}  // namespace depickle::torch
