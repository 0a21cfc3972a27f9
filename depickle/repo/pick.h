// Which weights files of a repository a model library would load. Pure: a list of names in, names out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace depickle::repo {

struct PickOptions {
  std::string variant = {};    ///< "fp16": model.fp16.safetensors and its kin
  std::string subfolder = {};  ///< "unet"; the model there, as if it were alone
  bool allow_pickle = true;    ///< where there is no safetensors
};

/// One model, by the file that a loader begins with.
struct ModelFile {
  std::string component;  ///< of a pipeline: "unet"; else empty
  std::string path;       ///< the weights, or the index of a sharded model
  bool is_index = false;
  bool is_pickle = false;
};

struct Choice {
  bool is_pipeline = false;
  std::vector<ModelFile> models;  ///< one; of a pipeline: one for each component that has weights, by name
  std::vector<std::string> notes;

  bool has_pickle() const noexcept;
};

/// As transformers and diffusers choose:
///   a model      safetensors, then its index, then the pickle, then its index; with a variant, only names with the
/// variant
///   a pipeline   (model_index.json at the root) safetensors only where every component has them, else the pickles
/// where a component has
///                any; names with the variant first, then those without, but at least one with it
/// Without such a name, the one weights file of the folder, if it is the only one.
///
/// `files` are all paths of the repository; `model_index` is the text of model_index.json where it has one.
/// Throws Error{not_found} where there are no weights (with this variant), {unsafe} naming the pickle where only that
/// is left and it is not
/// allowed, {malformed} for a broken model_index.json.
Choice pick(const std::vector<std::string>& files, const std::optional<std::string>& model_index,
    const PickOptions& options = {});

/// The components that model_index.json names: its keys with a library and a class. Throws Error{malformed}.
std::vector<std::string> pipeline_components(std::string_view model_index);

}  // namespace depickle::repo
