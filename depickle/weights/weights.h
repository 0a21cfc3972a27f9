// One table over any container: names → tensors over bytes, nothing copied.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "depickle/base/arena.h"
#include "depickle/base/tensor.h"
#include "depickle/base/unused.h"

namespace depickle::safetensors {
class Index;
}

namespace depickle::weights {

struct OpenOptions {
  /// Which part of a nested checkpoint: keys joined by "." ("state_dict"); "." is everything; empty finds the model's weights.
  std::string root;
  /// Bytes that tensors may have beyond their storage, by strides of 0; 64 MiB. Against bombs: 4 bytes expanded to a terabyte.
  uint64_t expand_limit_bytes = uint64_t{64} << 20;
};

/// The table. It keeps the files open and mapped; everything that it hands out lives as long as it does. Reading from
/// several threads is safe.
class Weights {
 public:
  Weights(Weights&&) noexcept = default;
  Weights& operator=(Weights&&) noexcept = default;

  /// In the container's order: a pickle's order of keys, a safetensors file's order of bytes. Names are unique.
  std::span<const Tensor> tensors() const noexcept { return tensors_; }
  /// O(log n), the first time O(n log n). nullptr where there is none.
  const Tensor* find(std::string_view name) const;
  /// Throws Error{not_found}.
  const Tensor& at(std::string_view name) const;

  std::span<const Storage> storages() const noexcept { return storages_; }
  const Storage& storage(const Tensor& tensor) const noexcept { return storages_[tensor.storage]; }

  /// The tensor's bytes in the file, not copied. Only for is_contiguous() tensors: Error{unsupported} for others; read() them.
  Bytes view(const Tensor& tensor) const;
  /// Logical bytes [begin, begin + out.size()) of the tensor in C order, conjugated, negated and swapped as it says. `begin`
  /// and `out.size()` are multiples of unit_bytes(dtype). Whatever the strides, no memory is taken.
  void read(const Tensor& tensor, uint64_t begin, MutableBytes out) const;

  /// "safetensors", "torch zip", "torch legacy", "torch tar" or "pickle".
  const std::string& container() const noexcept { return container_; }
  /// The files that the table reads, in order; the first is the one that was named.
  const std::vector<std::shared_ptr<const ByteSource>>& files() const noexcept { return files_; }
  /// `__metadata__` of a safetensors file.
  const std::vector<std::pair<std::string, std::string>>& metadata() const noexcept { return metadata_; }
  /// The part of a nested checkpoint that the table is: "state_dict"; empty where it is the whole.
  const std::string& root() const noexcept { return root_; }
  const std::vector<Unused>& unused() const noexcept { return leftovers_; }
  const std::vector<Unsupported>& unsupported() const noexcept { return unsupported_; }
  /// What a careful reader should know about the container: "3 records carry no checksum", "12 bytes belong to no record".
  const std::vector<std::string>& notes() const noexcept { return notes_; }

 private:
  friend class Builder;
  Weights();

  Arena arena_;
  std::vector<Tensor> tensors_;
  struct NameIndex;
  const NameIndex& names() const;

  mutable std::shared_ptr<NameIndex> names_;  ///< made when first asked for: it costs as much as reading a header
  std::vector<Storage> storages_;
  std::shared_ptr<const void> owner_;  ///< of what names, shapes and strides point into
  std::string container_;
  std::vector<std::shared_ptr<const ByteSource>> files_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  std::string root_;
  std::vector<Unused> leftovers_;
  std::vector<Unsupported> unsupported_;
  std::vector<std::string> notes_;
};

/// How a shard is opened, by its name in the index. May throw what opening a file throws.
using OpenShard = std::function<std::shared_ptr<const ByteSource>(const std::string& shard_name)>;

/// A model by the file that a reader begins with: one that holds tensors, or an index. What it is, is found by content.
struct Model {
  std::shared_ptr<const ByteSource> entry;
  OpenShard open_shard = {};  ///< empty where an index is not expected: one is then an unknown file
};

/// The model at a path: a file, an `*.index.json`, or the one model of a folder. Throws Error{not_found, io, unsupported}.
Model find_model(const std::filesystem::path& path);

/// Opens it; what it is, is found by content, never by extension. Throws Error{malformed, truncated, unsupported, limit}
/// naming the file, the place and the rule.
Weights open(const Model& model, const OpenOptions& options = {});
/// The same of the model at a path.
Weights open(const std::filesystem::path& path, const OpenOptions& options = {});

/// The same of one file that holds tensors itself, wherever its bytes are.
Weights open(std::shared_ptr<const ByteSource> file, const OpenOptions& options = {});

/// The same of a sharded model whose shards are wherever `open_shard` says, called once for each in the index's order.
/// `index_name` is what errors call the index.
Weights open_sharded(const safetensors::Index& index, const std::string& index_name, const OpenShard& open_shard,
    const OpenOptions& options = {});

}  // namespace depickle::weights

namespace depickle {
using weights::open;
using weights::Weights;
}  // namespace depickle
