// `*.index.json` of a sharded model: the shard of each tensor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "depickle/base/source.h"
#include "depickle/formats/safetensors/name_table.h"

namespace depickle::safetensors {

/// An index that satisfies the rules SX01 to SX03 of docs/formats/safetensors.md: tensor names are unique, and every
/// shard is a plain relative path below the index's folder. Rule SX04 (the shards contain the listed tensors) needs the
/// shards.
class Index {
 public:
  using WeightMap = std::vector<std::pair<std::string, std::string>>;
  /// Keys and the raw JSON text of their values.
  using Metadata = std::vector<std::pair<std::string, std::string>>;

  /// Throws Error{malformed} with the rule, and the tensor or the offset.
  static Index parse(std::string_view json);
  /// Parses a file. Errors also contain its name. Also throws Error{not_found, io}.
  static Index read(const std::filesystem::path& path);
  static Index read(const ByteSource& file);

  /// Returns an index to be written. Throws as parse does.
  static Index of(WeightMap weight_map, uint64_t total_size_bytes, Metadata metadata = {});

  /// Tensor name → shard, in the order of the file.
  const WeightMap& weight_map() const noexcept { return weight_map_; }
  /// Returns the shard of a tensor, or nullptr. O(1).
  const std::string* find(std::string_view name) const noexcept;
  /// The unique shards, in the order of their first tensors. Relative paths with `/`.
  const std::vector<std::string>& shards() const noexcept { return shards_; }

  /// `metadata.total_size`, if it is an unsigned integer. It is not checked: files with a wrong value are common.
  std::optional<uint64_t> total_size_bytes() const noexcept { return total_size_bytes_; }
  /// The other members of `metadata`.
  const Metadata& metadata() const noexcept { return metadata_; }

  /// Returns the JSON as transformers writes it: indented by 2, metadata first, all keys sorted, a line feed at the
  /// end. Non-ASCII characters and the raw text of metadata are not escaped.
  std::string to_json() const;

 private:
  Index() = default;
  void check();

  WeightMap weight_map_;
  NameTable names_;
  std::vector<std::string> shards_;
  std::optional<uint64_t> total_size_bytes_;
  Metadata metadata_;
};

}  // namespace depickle::safetensors
