// Names the tensors of TorchScript modules, as ScriptModule.state_dict() does.
#include <algorithm>
#include <set>

#include "depickle/formats/torch/flatten.h"

namespace depickle::torch {

using pickle::Handle;

const pickle::Global* Flattener::script_global_of(Handle handle) const {
  auto object = contents_.graph.object(handle);
  const pickle::Global* global = object ? contents_.graph.global(object->callable) : nullptr;
  return global && is_script_class(*global) ? global : nullptr;
}

// Returns nullopt if the value is not an object of a known TorchScript class.
std::optional<uint64_t> Flattener::walk_script_object(Handle handle, bool is_repeated) {
  const pickle::Global* global = script_global_of(handle);
  if (!global) return std::nullopt;
  const ScriptClass* script_class = contents_.script_classes.find(global);
  if (is_packed_class(*global) || (script_class && script_class->has_set_state))
    return walk_packed(handle, is_repeated);
  if (!script_class || !script_class->is_module) return std::nullopt;
  if (repeated_.contains(handle)) return std::nullopt;
  spend(tree_.count_handles(handle));
  return walk_script_module(*script_class, tree_.attributes(handle));
}

// Packed weights are not in the state_dict. The unsupported ones are reported as such, so that a quantized model is not
// converted without its weights unless the user skips them.
uint64_t Flattener::walk_packed(Handle handle, bool is_repeated) {
  const bool was_packed = is_packed_;
  is_packed_ = true;
  const uint64_t found = walk_children(handle, is_repeated);
  is_packed_ = was_packed;
  return found;
}

// As state_dict(): parameters, buffers (also those that are not persistent), then submodules, in the order of the
// class.
uint64_t Flattener::walk_script_module(const ScriptClass& script_class, const Tree::Entries& state) {
  std::vector<std::pair<const ScriptAttribute*, Child>> visited;
  std::vector<Child> others;
  for (const auto& [key, value] : state) {
    if (tree_.is_leaf(value)) continue;
    const std::string_view name = contents_.graph.text(key).value_or("");
    spend(name.size() / kNameBytesPerStep);
    const ScriptAttribute* attribute = script_class.find(name);
    if (attribute && is_in_state_dict(*attribute, value)) {
      visited.push_back({attribute, {.key = key, .value = value}});
    } else {
      others.push_back({.key = key, .value = value});
    }
  }
  std::ranges::sort(visited, {}, [](const auto& each) { return std::pair(each.first->role, each.first->position); });
  uint64_t found = 0;
  std::set<Handle> listed;
  for (const auto& [attribute, child] : visited) {
    found += walk_child(name_of(child), child);
    listed.insert(child.value);
  }
  for (const Child& child : others) {
    const pickle::Global* global = script_global_of(child.value);
    if (global && is_packed_class(*global)) {
      found += walk_child(name_of(child), child);
    } else if (!repeats(child.value, listed)) {
      add_unregistered(child.key, child.value);
    }
  }
  return found;
}

// Returns whether a value is a list of tensors that are listed under other names: `_flat_weights` of an LSTM.
bool Flattener::repeats(Handle value, const std::set<Handle>& listed) {
  spend(tree_.count_handles(value));
  const std::vector<Handle> elements = tree_.elements(value);
  return !elements.empty() && std::ranges::all_of(elements, [&](Handle each) { return listed.contains(each); });
}

bool Flattener::is_in_state_dict(const ScriptAttribute& attribute, Handle value) {
  if (attribute.role != ScriptAttribute::Role::module) return is_tensor(value);
  const pickle::Global* global = script_global_of(value);
  if (!global) return false;
  const ScriptClass* script_class = contents_.script_classes.find(global);
  return !script_class || script_class->is_module;
}

}  // namespace depickle::torch
