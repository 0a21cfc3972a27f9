// Selects the weights files of a repository or a folder that a model library would load.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace depickle::weights {

struct PickOptions {
  std::string variant = {};    ///< "fp16" selects model.fp16.safetensors
  std::string subfolder = {};  ///< "unet": select the model of this folder
  bool allow_pickle = true;    ///< if no safetensors exist
  bool is_local = false;       ///< a folder: diffusers chooses the format of each component by itself
  /// Reads a small file of the repository: config.json names the library, and maybe the file. Empty: names decide.
  std::function<std::string(const std::string& path)> read_text = {};
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
///   model      the safetensors file, else its index, else the pickle, else its index; diffusers opens an index of
///              safetensors before the single file; with a variant, only names with the variant. The config.json
///              decides between the names of transformers and diffusers, and may name the file (`transformers_weights`)
///   pipeline   (model_index.json at the root) the names with the variant in each component that has them, at least
///   one;
///              from a repository, safetensors only if every component with weights has them, else only pickles; in a
///              local folder, each component by itself
/// If a model has no file of such a name: the folder's only weights file, if there is exactly one.
///
/// `files` are all paths of the repository; `model_index` is the text of its model_index.json, if it exists.
/// Throws Error{not_found} if a model or a component of a pipeline has no weights (of this variant), {unsafe} with the
/// pickle's name if only a pickle exists and pickles are not allowed, {malformed} for an invalid model_index.json.
Choice pick(const std::vector<std::string>& files, const std::optional<std::string>& model_index,
    const PickOptions& options = {});

/// Selects in the same way among the files of a local folder: those directly in it, in `options.subfolder`, and in the
/// folders of a pipeline's components. Also throws Error{io} if the folder cannot be read.
Choice pick_in(const std::filesystem::path& folder, PickOptions options = {});

/// Returns the components in model_index.json, sorted: its keys with a library and a class. Throws Error{malformed}.
std::vector<std::string> pipeline_components(std::string_view model_index);

}  // namespace depickle::weights
