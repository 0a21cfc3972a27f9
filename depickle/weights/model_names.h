// The names under which model libraries look for weights. Pure: works on names and on the text of indexes.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/error.h"
#include "depickle/formats/safetensors/index.h"

namespace depickle::weights {

/// A file name that transformers, diffusers or PEFT look for. Sources: transformers 5.24 (modeling_utils.py,
/// `_get_resolved_checkpoint_files`), diffusers 0.42 (model_loading_utils.py, `_fetch_index_file`).
///   pytorch_model[.VARIANT].bin, model[.VARIANT].safetensors             a single file
///   pytorch_model.bin.index[.VARIANT].json                               an index of shards
///   diffusion_pytorch_model.safetensors.VARIANT.index.json               the same, as diffusers wrote it before 0.31
///   pytorch_model[.VARIANT]-00001-of-00002.bin (or ….VARIANT.bin)        a shard
/// and the same with diffusion_pytorch_model, adapter_model, pytorch_lora_weights, learned_embeds. The case matters, as
/// it does to the libraries.
struct ModelName {
  enum class Part { single, index, shard };
  std::string folder;      ///< "unet/"; empty for the root
  std::string stem;        ///< of the safetensors: "model" for pytorch_model.bin, "diffusion_pytorch_model"
  std::string variant;     ///< "fp16"; empty if the name has no variant
  bool is_pickle = false;  ///< the file, or the files that the index names
  Part part = Part::single;
  bool is_old_index = false;       ///< the variant is before ".index"
  unsigned shard = 0, shards = 0;  ///< of a shard: its number, from 1, and the number of shards
};

/// Returns nullopt if no library looks for a file of this name.
std::optional<ModelName> parse_model_name(std::string_view path);

/// Returns whether the name ends like that of a shard: -00001-of-00002, before the extension and maybe a variant.
bool is_shard_name(std::string_view path);

/// Returns the name of a shard, given without its extension, without its numbers: "model.fp16" for
/// "model.fp16-00001-of-00002". Other names are returned unchanged.
std::string_view without_shard_numbers(std::string_view stem);

/// All files of one model under its standard names, in one of its two formats.
struct ModelFormat {
  std::string single;  ///< empty if the file does not exist, like `index`
  std::string index;
  std::map<unsigned, std::vector<std::string>> series;  ///< number of shards → those that exist, sorted

  bool exists() const noexcept { return !single.empty() || !index.empty() || !series.empty(); }
};

/// A model by its folder, stem and variant. All paths are relative to the root of the folder or repository.
struct StandardModel {
  std::string folder, stem, variant;
  ModelFormat safetensors, pickle;

  /// Returns the file that the library opens first in this format: the single file, or else the index. diffusers opens
  /// an index of safetensors before the single file. Empty if neither exists.
  const std::string& entry(const ModelFormat& format) const noexcept;
  /// Returns the standard name of the safetensors index: "unet/diffusion_pytorch_model.safetensors.index.fp16.json".
  std::string index_name() const;
};

/// Returns the models whose files `names` contains, sorted by folder, stem and variant.
std::vector<StandardModel> standard_models(const std::set<std::string>& names);

/// Reads the index at this path. Throws Error{malformed, limit, unsupported} if it is invalid, other errors if it
/// cannot be read.
using ReadIndex = std::function<safetensors::Index(const std::string& path)>;

/// The indexes of a folder or repository, each read at most once. An invalid index is stored as its error; all other
/// errors are thrown.
class Indexes {
 public:
  Indexes(const std::set<std::string>& names, ReadIndex read_index)
      : names_(names),
        read_index_(std::move(read_index)) {}

  /// Throws the index's error if it is invalid.
  const safetensors::Index& at(const std::string& path) { return value_of(read(path)); }
  /// Returns whether the index is valid and all its shards exist.
  bool is_loadable(const std::string& path);

 private:
  struct Read {
    std::optional<safetensors::Index> index;
    std::optional<Error> error;
  };
  const Read& read(const std::string& path);
  static const safetensors::Index& value_of(const Read& read);

  const std::set<std::string>& names_;
  ReadIndex read_index_;
  std::map<std::string, Read> read_;
};

/// The files with the tensors of a model in one format.
struct ModelShards {
  std::string entry;               ///< the single file or the index; the first shard if no index is used
  std::vector<std::string> files;  ///< the single file, or the shards, sorted
  bool is_sharded = false;
  bool has_index = false;          ///< the index is valid; its shards are among `files`
  std::vector<std::string> notes;  ///< how the index differs from the files
};

/// Returns the files that contain the model's tensors. An index is a claim: every shard of the series of which it names
/// a shard belongs to the model; and if it names files that do not exist, or does not exist itself, the one complete
/// series is the model. Throws Error{not_found, malformed, unsupported} with the reason if there is none.
ModelShards shards_of(
    const StandardModel& model, const ModelFormat& format, Indexes& indexes, const std::set<std::string>& names);

}  // namespace depickle::weights
