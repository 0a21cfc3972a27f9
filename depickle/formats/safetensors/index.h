// `*.index.json` of a sharded model: which tensor is in which file.
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

/// Rules SX01 to SX03 of docs/formats/safetensors.md. An Index that exists keeps them: no tensor is named twice, and every shard is
/// a plain file below the index's own folder. (Whether the shards hold what it says, only their headers tell: SX04.)
class Index {
 public:
  using WeightMap = std::vector<std::pair<std::string, std::string>>;
  /// Keys and the raw JSON text of their values.
  using Metadata = std::vector<std::pair<std::string, std::string>>;

  /// Throws Error{malformed} naming the rule, and the tensor or the place.
  static Index parse(std::string_view json);
  /// The same from a file, which errors name; also Error{not_found, denied, io}.
  static Index read(const std::filesystem::path& path);
  static Index read(const ByteSource& file);

  /// An index to be written. Throws as parse does.
  static Index of(WeightMap weight_map, uint64_t total_size_bytes, Metadata metadata = {});

  /// Tensor name → shard, in the order of the file.
  const WeightMap& weight_map() const noexcept { return weight_map_; }
  /// nullptr where no shard holds the tensor. O(1).
  const std::string* find(std::string_view name) const noexcept;
  /// Every shard once, in the order in which they are first named. Relative paths with `/`.
  const std::vector<std::string>& shards() const noexcept { return shards_; }

  /// Bytes of all tensors, where metadata says so in a whole number. Nobody checks it: files with a wrong one are common.
  std::optional<uint64_t> total_size_bytes() const noexcept { return total_size_bytes_; }
  /// What else metadata holds.
  const Metadata& metadata() const noexcept { return metadata_; }

  /// As transformers writes it: indented by 2, metadata first, all keys sorted, a line feed at the end. Characters beyond ASCII
  /// are written as they are, and so is the raw text of metadata.
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
