// Selects the weights files of a repository that a model library would load. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace depickle::repo {

struct PickOptions {
  std::string variant = {};    ///< "fp16" selects model.fp16.safetensors
  std::string subfolder = {};  ///< "unet": select the model of this folder
  bool allow_pickle = true;    ///< if no safetensors exist
};

/// One model, by the file that a loader opens first.
struct ModelFile {
  std::string component;  ///< "unet"; empty if the model is not part of a pipeline
  std::string path;       ///< the weights, or the index of a sharded model
  bool is_index = false;
  bool is_pickle = false;
};

struct Choice {
  bool is_pipeline = false;
  std::vector<ModelFile> models;  ///< one; for a pipeline, one per component with weights, sorted by component
  std::vector<std::string> notes;
};

/// Selects as transformers and diffusers do:
///   model      the safetensors file, else its index, else the pickle, else its index; with a variant, only names with
///              the variant
///   pipeline   (model_index.json at the root) safetensors only if every component has them, else the pickle of each
///              component that has one; names with the variant first, then without, but at least one with it
/// If no file has such a name: the folder's only weights file, if there is exactly one.
///
/// `files` are all paths of the repository; `model_index` is the text of its model_index.json, if it exists.
/// Throws Error{not_found} if there are no weights (of this variant), {unsafe} with the pickle's name if only a pickle
/// exists and pickles are not allowed, {malformed} for an invalid model_index.json.
Choice pick(const std::vector<std::string>& files, const std::optional<std::string>& model_index,
    const PickOptions& options = {});

/// Returns the components in model_index.json, sorted: its keys with a library and a class. Throws Error{malformed}.
std::vector<std::string> pipeline_components(std::string_view model_index);

}  // namespace depickle::repo
