#include "depickle/repo/pick.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "depickle/base/error.h"
#include "depickle/base/json_value.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/file_name.h"

namespace depickle::repo {
namespace {

using Names = std::set<std::string_view>;

constexpr std::array<std::string_view, 2> kSafetensorsStems = {"model", "diffusion_pytorch_model"};
constexpr std::array<std::string_view, 2> kPickleStems = {"pytorch_model", "diffusion_pytorch_model"};

// "unet" → "unet/"; "" for the root.
std::string folder_prefix(std::string_view folder) {
  while (folder.ends_with('/')) folder.remove_suffix(1);
  return folder.empty() ? "" : std::string(folder) + "/";
}

// Returns the first existing name of a model: for each stem the single file, then the index. The variant precedes the
// last extension.
std::optional<ModelFile> find_named(
    const Names& names, const std::string& folder, const std::string& variant, bool pickle) {
  const std::string dotted = variant.empty() ? "" : "." + variant;
  for (std::string_view stem : pickle ? kPickleStems : kSafetensorsStems) {
    const std::string_view ending = pickle ? ".bin" : ".safetensors";
    std::string single = fmt::format("{}{}{}{}", folder, stem, dotted, ending);
    if (names.contains(single))
      return ModelFile{.component = {}, .path = std::move(single), .is_index = false, .is_pickle = pickle};
    std::string index = fmt::format("{}{}{}.index{}.json", folder, stem, ending, dotted);
    if (names.contains(index))
      return ModelFile{.component = {}, .path = std::move(index), .is_index = true, .is_pickle = pickle};
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

Choice pick_model(const Names& names, const PickOptions& options) {
  const std::string folder = folder_prefix(options.subfolder);
  std::optional<ModelFile> found = find_named(names, folder, options.variant, false);
  if (!found) found = find_named(names, folder, options.variant, true);
  if (!found && options.variant.empty()) found = find_only(names, folder);
  if (!found) no_weights(folder, options.variant);
  Choice choice;
  choice.models.push_back(std::move(*found));
  return choice;
}

// The candidates of one component, in both formats.
struct Component {
  std::string name;
  std::optional<ModelFile> safetensors, pickle;
  bool has_variant = false;
};

Component component_of(const Names& names, const std::string& name, const std::string& variant) {
  Component component{.name = name, .safetensors = {}, .pickle = {}};
  const std::string folder = folder_prefix(name);
  auto find = [&](bool pickle) {
    std::optional<ModelFile> found;
    if (!variant.empty()) found = find_named(names, folder, variant, pickle);
    component.has_variant |= found.has_value();
    if (!found) found = find_named(names, folder, "", pickle);
    if (found) found->component = name;
    return found;
  };
  component.safetensors = find(false);
  component.pickle = find(true);
  return component;
}

Choice pick_pipeline(const Names& names, std::string_view model_index, const PickOptions& options) {
  std::vector<Component> components;
  for (const std::string& name : pipeline_components(model_index)) {
    Component component = component_of(names, name, options.variant);
    if (component.safetensors || component.pickle) components.push_back(std::move(component));
  }
  if (components.empty()) no_weights("", options.variant);
  Choice choice{.is_pipeline = true, .models = {}, .notes = {}};
  if (!options.variant.empty()) {
    if (std::ranges::none_of(components, &Component::has_variant)) no_weights("", options.variant);
    for (const Component& component : components)
      if (!component.has_variant)
        choice.notes.push_back(fmt::format("{} has no variant {}", printable(component.name), quoted(options.variant)));
  }
  const bool all_safe =
      std::ranges::all_of(components, [](const Component& component) { return component.safetensors.has_value(); });
  for (Component& component : components)
    choice.models.push_back(std::move(
        component.safetensors && (all_safe || !component.pickle) ? *component.safetensors : *component.pickle));
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

}  // namespace

Choice pick(
    const std::vector<std::string>& files, const std::optional<std::string>& model_index, const PickOptions& options) {
  const Names names(files.begin(), files.end());
  const bool pipeline = model_index && options.subfolder.empty();
  Choice choice = pipeline ? pick_pipeline(names, *model_index, options) : pick_model(names, options);
  check_allowed(choice, options);
  return choice;
}

std::vector<std::string> pipeline_components(std::string_view model_index) {
  std::vector<std::string> components;
  for (const auto& [name, value] : parse_object(model_index).members()) {
    const std::vector<JsonValue> pair = value.items();
    if (pair.size() == 2 && pair[0].text() && pair[1].text()) components.emplace_back(name);
  }
  std::ranges::sort(components);
  components.erase(std::unique(components.begin(), components.end()), components.end());
  return components;
}

}  // namespace depickle::repo
