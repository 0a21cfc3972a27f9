// One table for every format: names → tensors over bytes. No bytes are copied.
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
#include "depickle/formats/detect/file_kind.h"

namespace depickle::safetensors {
class Index;
}

namespace depickle::weights {

struct OpenOptions {
  /// The part of a nested checkpoint: keys joined by "." ("state_dict"). "." is the whole checkpoint; empty finds the
  /// model's weights.
  std::string root;
  /// How many bytes tensors may have in addition to their storage, through strides of 0. Stops 4 bytes that expand to a
  /// terabyte.
  uint64_t expand_limit_bytes = uint64_t{64} << 20;
};

/// The table. Keeps its files open and mapped; everything that it returns is valid as long as the table. Several
/// threads may read from it.
class Weights {
 public:
  Weights(Weights&&) noexcept = default;
  Weights& operator=(Weights&&) noexcept = default;

  /// Returns the tensors in the order of the file: the keys of a pickle, the bytes of a safetensors file. Names are
  /// unique.
  std::span<const Tensor> tensors() const noexcept { return tensors_; }
  /// Returns the tensor, or nullptr if no tensor has this name. O(log n); the first call sorts the names, O(n log n).
  const Tensor* find(std::string_view name) const;
  /// Returns the tensor. Throws Error{not_found} if no tensor has this name.
  const Tensor& at(std::string_view name) const;

  std::span<const Storage> storages() const noexcept { return storages_; }
  const Storage& storage(const Tensor& tensor) const noexcept { return storages_[tensor.storage]; }

  /// Returns the tensor's bytes in the file, not copied. Throws Error{unsupported} if the tensor is not
  /// is_contiguous(); use read() then.
  Bytes view(const Tensor& tensor) const;
  /// Copies the bytes [begin, begin + out.size()) of the tensor in C order, conjugated, negated and byte-swapped as its
  /// flags say. `begin` and `out.size()` are multiples of unit_bytes(dtype). Allocates no memory for the bytes.
  void read(const Tensor& tensor, uint64_t begin, MutableBytes out) const;

  /// Returns the kind of the file. If the shards of a model are of several kinds, one that is not safetensors.
  detect::FileKind kind() const noexcept { return kind_; }
  bool is_safetensors() const noexcept { return kind_ == detect::FileKind::safetensors; }
  /// Returns the container for display: "safetensors", "torch zip", "torch legacy", "torch tar" or "pickle", with
  /// ", sharded" if the table is that of an index.
  std::string container() const;
  /// Returns the files that the table reads, in order; the first one is the file that was opened.
  const std::vector<std::shared_ptr<const ByteSource>>& files() const noexcept { return files_; }
  /// Returns `__metadata__` of a safetensors file.
  const std::vector<std::pair<std::string, std::string>>& metadata() const noexcept { return metadata_; }
  /// Returns the part of a nested checkpoint that the table contains ("state_dict"); empty if it contains the whole.
  const std::string& root() const noexcept { return root_; }
  const std::vector<Unused>& unused() const noexcept { return unused_; }
  const std::vector<Unsupported>& unsupported() const noexcept { return unsupported_; }
  /// Returns remarks about the container: "3 records have no checksum", "12 bytes belong to no record".
  const std::vector<std::string>& notes() const noexcept { return notes_; }

 private:
  friend class Builder;
  Weights();

  Arena arena_;
  std::vector<Tensor> tensors_;
  struct NameIndex;
  const NameIndex& names() const;

  mutable std::shared_ptr<NameIndex> names_;  ///< made on first use: it takes as long as reading a header
  std::vector<Storage> storages_;
  std::shared_ptr<const void> owner_;  ///< keeps names, shapes and strides alive
  detect::FileKind kind_{};
  bool is_sharded_ = false;
  std::vector<std::shared_ptr<const ByteSource>> files_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  std::string root_;
  std::vector<Unused> unused_;
  std::vector<Unsupported> unsupported_;
  std::vector<std::string> notes_;
};

/// The files that an index may name as shards: a closed list, made before the index is parsed. A parser that was taken
/// over cannot extend it.
struct ShardFiles {
  std::vector<std::string> names = {};  ///< sorted; relative to the folder of the index, with `/`
  uint64_t size_bytes = 0;              ///< of all files whose size is known
  /// Opens the file `names[number]`. May throw what opening a file throws.
  std::function<std::shared_ptr<const ByteSource>(size_t number)> open = {};
};

/// A model by the file that a reader opens first: a file with tensors, or an index of shards. The content decides
/// which.
struct Model {
  std::shared_ptr<const ByteSource> entry;
  ShardFiles shards = {};  ///< without `open` if an index is not allowed: it is then a file of an unsupported kind
};

/// A model, or one of the models of a pipeline.
struct NamedModel {
  std::string component;  ///< "unet"; empty if the model is not part of a pipeline
  Model model;
};

/// Returns the model at a path: a file, an `*.index.json`, or the only model of a folder. If it is an index, lists the
/// weights files of its folder as possible shards. Throws Error{not_found, io, unsupported}.
Model find_model(const std::filesystem::path& path);
/// Returns the same, or all models of a pipeline's folder, sorted by component. At least one.
std::vector<NamedModel> find_models(const std::filesystem::path& path);

/// Opens a model. Its content decides how, never its name. Throws Error{malformed, truncated, unsupported, limit} with
/// the file, the place and the rule.
Weights open(const Model& model, const OpenOptions& options = {});
/// Opens the model at a path.
Weights open(const std::filesystem::path& path, const OpenOptions& options = {});
/// Opens one file that contains tensors, on disk, in memory or on the Hub. An index is Error{unsupported}.
Weights open(std::shared_ptr<const ByteSource> file, const OpenOptions& options = {});
/// Opens a shard by its name in the index. May throw what opening a file throws.
using OpenShard = std::function<std::shared_ptr<const ByteSource>(const std::string& shard_name)>;

/// Opens a sharded model. Calls `open_shard` once for each shard, in the order of the index. `index_name` is the name
/// of the index in errors.
Weights open_sharded(const safetensors::Index& index, const std::string& index_name, const OpenShard& open_shard,
    const OpenOptions& options = {});

}  // namespace depickle::weights

namespace depickle {
using weights::open;
using weights::Weights;
}  // namespace depickle
