#include "depickle/weights/pick.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "depickle/base/error.h"
#include "depickle/base/json_value.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/os/mapped_file.h"
#include "depickle/weights/model_names.h"

namespace depickle::weights {
namespace {

namespace fs = std::filesystem;
using Names = std::set<std::string>;
using Models = std::vector<StandardModel>;

constexpr const char* kModelIndex = "model_index.json";
// The stems of models, in the order in which they are searched for.
constexpr std::array<std::string_view, 2> kModelStems = {"model", "diffusion_pytorch_model"};

// "unet" → "unet/"; "" for the root.
std::string folder_prefix(std::string_view folder) {
  while (folder.ends_with('/')) folder.remove_suffix(1);
  return folder.empty() ? "" : std::string(folder) + "/";
}

// Returns the file that the library opens first, in one of the formats. `stems`: in the order of the search.
std::optional<ModelFile> find_named(const Models& models, std::span<const std::string_view> stems,
    const std::string& folder, const std::string& variant, bool pickle) {
  for (std::string_view stem : stems) {
    const auto model = std::ranges::find_if(models, [&](const StandardModel& there) {
      return there.folder == folder && there.variant == variant && there.stem == stem;
    });
    if (model == models.end()) continue;
    const ModelFormat& format = pickle ? model->pickle : model->safetensors;
    const std::string& entry = model->entry(format);
    if (!entry.empty())
      return ModelFile{.component = {}, .path = entry, .is_index = entry == format.index, .is_pickle = pickle};
  }
  return std::nullopt;
}

// Returns the only weights file directly in `folder`, whatever its name; empty if there are none or several.
std::optional<ModelFile> find_only(const Names& names, const std::string& folder) {
  std::optional<ModelFile> found;
  for (auto name = names.lower_bound(folder); name != names.end() && name->starts_with(folder); ++name) {
    const bool pickle = detect::is_pickle_name(*name);
    if (name->find('/', folder.size()) != name->npos || !(pickle || detect::is_safetensors_name(*name))) continue;
    if (!detect::not_weights(*name).empty()) continue;
    if (const auto model = parse_model_name(*name); model && !model->variant.empty()) continue;
    if (found) return std::nullopt;
    found = ModelFile{.component = {}, .path = std::string(*name), .is_index = false, .is_pickle = pickle};
  }
  return found;
}

[[noreturn]] void no_weights(const std::string& folder, const std::string& variant) {
  if (!variant.empty())
    throw Error(Code::not_found, Reason::no_such_variant,
        fmt::format(
            "no weights of the variant {} in {}", quoted(variant), folder.empty() ? "the repository" : quoted(folder)));
  throw Error(Code::not_found, "",
      fmt::format(
          "no weights that a model library would load in {}", folder.empty() ? "the repository" : quoted(folder)),
      {}, "name the file itself: hf://ORG/NAME/FILE");
}

void check_allowed(const Choice& choice, const PickOptions& options) {
  if (options.allow_pickle) return;
  for (const ModelFile& model : choice.models) {
    if (!model.is_pickle) continue;
    throw Error(Code::unsafe, Reason::only_pickle, "is a pickle, and the repository has no safetensors file for it",
        Where::in(model.path));
  }
}

// What the config.json of a model says about its weights.
struct ModelConfig {
  bool is_diffusers = false;
  std::string weights;  // the file in `transformers_weights`; empty if it names none
};

ModelConfig read_config(const Names& names, const std::string& folder, const PickOptions& options) {
  const std::string path = folder + "config.json";
  ModelConfig config;
  if (!options.read_text || !names.contains(path)) return config;
  JsonValue json;
  try {
    json = JsonValue::parse(options.read_text(path));
  } catch (const Error& error) {
    if (error.code() != Code::malformed && error.code() != Code::limit) throw;
  }
  config.is_diffusers = json["_class_name"].text() && !json["model_type"].text();
  config.weights = json["transformers_weights"].string();
  return config;
}

// Returns the file that the config.json names.
ModelFile named_by_config(const Names& names, const std::string& folder, const std::string& weights) {
  const std::string path = folder + weights;
  const Where where = Where::in(folder + "config.json");
  if (!weights.ends_with(".safetensors") && !weights.ends_with(".safetensors.index.json"))
    throw Error(Code::malformed, "",
        fmt::format("transformers_weights is not a safetensors file or index (got {})", quoted(weights)), where);
  if (!names.contains(path))
    throw Error(Code::not_found, "", fmt::format("names the weights {}, which do not exist", quoted(weights)), where);
  return {.component = {}, .path = path, .is_index = weights.ends_with(".json"), .is_pickle = false};
}

Choice pick_model(const Names& names, const Models& models, const PickOptions& options) {
  const std::string folder = folder_prefix(options.subfolder);
  const ModelConfig config = read_config(names, folder, options);
  Choice choice;
  if (!config.weights.empty() && !config.is_diffusers) {
    choice.models.push_back(named_by_config(names, folder, config.weights));
    return choice;
  }
  std::array<std::string_view, 2> stems = kModelStems;
  if (config.is_diffusers) std::swap(stems[0], stems[1]);
  std::optional<ModelFile> found;
  for (const std::string_view& stem : stems)
    for (const bool pickle : {false, true})
      if (!found) found = find_named(models, {&stem, 1}, folder, options.variant, pickle);
  if (!found && options.variant.empty()) found = find_only(names, folder);
  if (!found) no_weights(folder, options.variant);
  choice.models.push_back(std::move(*found));
  return choice;
}

JsonValue parse_object(std::string_view model_index) {
  JsonValue value;
  try {
    value = JsonValue::parse(model_index);
  } catch (const Error&) {
  }
  if (value.is_object()) return value;
  throw Error(Code::malformed, "", "is not the index of a pipeline: not a JSON object", Where::in("model_index.json"));
}

bool is_folder_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find_first_of(std::string_view("/\\\0", 3)) == name.npos;
}

// A component of a pipeline, as model_index.json names it.
struct Component {
  std::string name;
  std::string library;  // "diffusers", "transformers"; empty if the component is null
};

// Returns the components, sorted by name.
std::vector<Component> components_of(std::string_view model_index) {
  std::map<std::string, std::string> libraries;
  for (const auto& [name, value] : parse_object(model_index).members()) {
    const std::vector<JsonValue> pair = value.items();
    if (pair.size() != 2 || !is_folder_name(name)) continue;
    const bool is_null = !pair[0].text() || !pair[1].text();
    libraries.emplace(name, is_null ? "" : pair[0].string());
  }
  std::vector<Component> components;
  for (auto& [name, library] : libraries) components.push_back({name, library});
  return components;
}

std::vector<std::string_view> names_in(const Names& names, const std::string& folder) {
  std::vector<std::string_view> there;
  for (auto name = names.lower_bound(folder); name != names.end() && name->starts_with(folder); ++name)
    if (name->find('/', folder.size()) == name->npos) there.push_back(std::string_view(*name).substr(folder.size()));
  return there;
}

// Returns whether diffusers may load only safetensors from a repository (pipelines/pipeline_loading_utils.py,
// `is_safetensors_compatible`): every folder of model_index.json that contains weights must contain safetensors.
// Folders of null components count too.
bool has_safetensors_everywhere(
    const Names& names, const std::vector<Component>& components, const std::string& variant) {
  constexpr std::array<std::string_view, 4> kStems = {"diffusion_pytorch_model", "model", "weights", "pytorch_model"};
  constexpr std::array<std::string_view, 5> kEndings = {".bin", ".safetensors", ".onnx", ".pb", ".flashpack"};
  for (const Component& component : components) {
    bool has_weights = false, is_safe = false, is_safe_variant = false, has_variant = false;
    for (std::string_view name : names_in(names, folder_prefix(component.name))) {
      const auto ending = std::ranges::find_if(kEndings, [&](std::string_view end) { return name.ends_with(end); });
      if (ending == kEndings.end()) continue;
      has_weights = true;
      const std::string_view stem = without_shard_numbers(name.substr(0, name.size() - ending->size()));
      const bool safe = *ending == ".safetensors";
      const size_t dot = stem.find('.');
      if (std::ranges::find(kStems, stem.substr(0, dot)) == kStems.end()) continue;
      if (dot == stem.npos) is_safe |= safe;
      if (dot == stem.npos || variant.empty() || stem.substr(dot + 1) != variant) continue;
      has_variant = true;
      is_safe_variant |= safe;
    }
    if (has_weights && !(has_variant ? is_safe_variant : is_safe)) return false;
  }
  return true;
}

// Returns whether diffusers loads the variant of a component in a local folder: one of its names has the variant after
// the first dot.
bool has_variant_name(const Names& names, const std::string& folder, const std::string& variant) {
  return !variant.empty() && std::ranges::any_of(names_in(names, folder), [&](std::string_view name) {
    const size_t dot = name.find('.');
    return dot != name.npos && name.substr(dot + 1).starts_with(variant);
  });
}

class PipelinePicker {
 public:
  PipelinePicker(const Names& names, const Models& models, const PickOptions& options)
      : names_(names),
        models_(models),
        options_(options) {}

  Choice run(std::string_view model_index) {
    const std::vector<Component> components = components_of(model_index);
    // From a repository, diffusers downloads one format for all components.
    if (!options_.is_local) only_pickles_ = !has_safetensors_everywhere(names_, components, options_.variant);
    for (const Component& component : components)
      if (!component.library.empty()) add(component);
    if (choice_.models.empty() || (!options_.variant.empty() && !has_variant_)) no_weights("", options_.variant);
    return std::move(choice_);
  }

 private:
  void add(const Component& component) {
    const std::string folder = folder_prefix(component.name);
    std::optional<ModelFile> found = find(component, folder);
    if (!found) {
      // Configurations of models have this name; those of schedulers and tokenizers have others.
      if (names_.contains(folder + "config.json")) no_weights(folder, options_.variant);
      return;
    }
    found->component = component.name;
    choice_.models.push_back(std::move(*found));
  }

  std::optional<ModelFile> find(const Component& component, const std::string& folder) {
    if (options_.variant.empty()) return find_in_formats(component, folder, "");
    if (auto found = find_in_formats(component, folder, options_.variant)) {
      has_variant_ = true;
      return found;
    }
    if (must_have_variant(folder)) no_weights(folder, options_.variant);
    auto found = find_in_formats(component, folder, "");
    if (found)
      choice_.notes.push_back(fmt::format("{} has no variant {}", printable(component.name), quoted(options_.variant)));
    return found;
  }

  // Searches in the formats that diffusers considers: safetensors before pickles in a local folder, else only one.
  std::optional<ModelFile> find_in_formats(
      const Component& component, const std::string& folder, const std::string& variant) const {
    // diffusers' own models have their own stem; all other libraries follow transformers.
    const std::string_view stem = kModelStems[component.library == "diffusers" ? 1 : 0];
    std::optional<ModelFile> found;
    if (!only_pickles_) found = find_named(models_, {&stem, 1}, folder, variant, false);
    if (!found && (only_pickles_ || options_.is_local)) found = find_named(models_, {&stem, 1}, folder, variant, true);
    return found;
  }

  // Returns whether the component has files of the variant, though not those that would have to be opened first.
  bool must_have_variant(const std::string& folder) const {
    if (options_.is_local) return has_variant_name(names_, folder, options_.variant);
    return std::ranges::any_of(models_, [&](const StandardModel& model) {
      return model.folder == folder && model.variant == options_.variant &&
             (only_pickles_ ? model.pickle : model.safetensors).exists();
    });
  }

  const Names& names_;
  const Models& models_;
  const PickOptions& options_;
  bool only_pickles_ = false;
  bool has_variant_ = false;
  Choice choice_{.is_pipeline = true, .models = {}, .notes = {}};
};

// Adds the names of the files directly in `folder` / `subfolder`.
void add_names(const fs::path& folder, const std::string& subfolder, std::vector<std::string>& names) {
  constexpr size_t kMaxFiles = 200'000;
  std::error_code error, ignored;
  fs::directory_iterator walk(folder / subfolder, error);
  if (error && !subfolder.empty()) return;  // a component without a folder
  for (; !error && walk != fs::directory_iterator(); walk.increment(error)) {
    if (walk->is_directory(ignored)) continue;
    names.push_back(folder_prefix(subfolder) + walk->path().filename().string());
    if (names.size() > kMaxFiles) throw Error(Code::limit, "", "contains more than 200,000 files", Where::in(folder));
  }
  if (error) throw system_error(error.value(), "cannot list", folder);
}

}  // namespace

Choice pick(
    const std::vector<std::string>& files, const std::optional<std::string>& model_index, const PickOptions& options) {
  const Names names(files.begin(), files.end());
  const bool pipeline = model_index && options.subfolder.empty();
  const Models models = standard_models(names);
  Choice choice =
      pipeline ? PipelinePicker(names, models, options).run(*model_index) : pick_model(names, models, options);
  check_allowed(choice, options);
  return choice;
}

Choice pick_in(const fs::path& folder, PickOptions options) {
  options.is_local = true;
  if (!options.read_text)
    options.read_text = [&](const std::string& path) {
      return std::string(text(os::MappedFile::open(folder / path)->all()));
    };
  std::vector<std::string> names;
  add_names(folder, "", names);
  if (!options.subfolder.empty()) {
    add_names(folder, options.subfolder, names);
    return pick(names, std::nullopt, options);
  }
  if (std::ranges::find(names, kModelIndex) == names.end()) return pick(names, std::nullopt, options);
  const std::string model_index(text(os::MappedFile::open(folder / kModelIndex)->all()));
  for (const std::string& component : pipeline_components(model_index)) add_names(folder, component, names);
  return pick(names, model_index, options);
}

std::vector<std::string> pipeline_components(std::string_view model_index) {
  std::vector<std::string> names;
  for (const Component& component : components_of(model_index))
    if (!component.library.empty()) names.push_back(component.name);
  return names;
}

}  // namespace depickle::weights
