#include "depickle/formats/torch/tree.h"

#include <algorithm>

#include "depickle/formats/torch/globals.h"

namespace depickle::torch {
namespace {

using pickle::Handle;
using pickle::kNothing;
using pickle::NodeKind;

// The objects with a module's state among their arguments have few of them: StyleGAN's meta dict, the attributes of a
// torch.fx.GraphModule.
constexpr size_t kMaxStateItems = 128, kMaxStateArguments = 4;

}  // namespace

std::optional<Tree::Entries> Tree::mapping(Handle handle) const {
  if (graph_.kind(handle) == NodeKind::dict) return graph_.entries(graph_.children(handle));
  auto object = graph_.object(handle);
  if (!object) return std::nullopt;
  const pickle::Global* global = graph_.global(object->callable);
  auto builder = global ? find_builder(*global) : std::nullopt;
  bool dict_like = builder == BuilderFunction::ordered_dict || builder == BuilderFunction::dict_like;
  if (!dict_like) return object->pairs.empty() ? std::nullopt : std::optional(graph_.entries(object->pairs));

  // In Python 2, the argument of OrderedDict is a list of items, [[key, value], …]. The argument of Counter is a dict.
  std::vector<Handle> pairs;
  for (Handle argument : graph_.children(object->args)) {
    if (graph_.kind(argument) == NodeKind::dict)
      std::ranges::copy(graph_.children(argument), std::back_inserter(pairs));
    if (graph_.kind(argument) != NodeKind::list) continue;
    for (Handle item : graph_.children(argument)) {
      std::span<const Handle> pair = graph_.children(item);
      if (pair.size() == 2 && graph_.kind(item) != NodeKind::dict) pairs.insert(pairs.end(), pair.begin(), pair.end());
    }
  }
  if (pairs.empty()) return graph_.entries(object->pairs);
  pairs.insert(pairs.end(), object->pairs.begin(), object->pairs.end());
  return graph_.entries(pairs);
}

std::span<const Handle> Tree::pairs(Handle handle) const {
  if (graph_.kind(handle) == NodeKind::dict) return graph_.children(handle);
  const auto object = graph_.object(handle);
  return object ? object->pairs : std::span<const Handle>();
}

bool Tree::is_mapping(Handle handle) const {
  if (graph_.kind(handle) == NodeKind::dict) return true;
  const auto object = graph_.object(handle);
  if (!object) return false;
  const pickle::Global* global = graph_.global(object->callable);
  const auto builder = global ? find_builder(*global) : std::nullopt;
  return !object->pairs.empty() || builder == BuilderFunction::ordered_dict || builder == BuilderFunction::dict_like;
}

std::optional<Tree::Entries> Tree::module_state(Handle handle) const {
  const auto object = graph_.object(handle);
  if (!object) return std::nullopt;
  Entries state = attributes(handle);
  if (find(state, "_modules") != kNothing && find(state, "_parameters") != kNothing) return state;

  auto item = [&](Handle mapping, std::string_view key) {
    const std::span<const Handle> items = pairs(mapping);
    Handle found = kNothing;
    for (size_t i = 0; i + 1 < items.size() && items.size() <= 2 * kMaxStateItems; i += 2)
      if (graph_.text(items[i]) == key) found = items[i + 1];
    return found;
  };
  auto is_state = [&](Handle value) {
    return item(value, "_modules") != kNothing && item(value, "_parameters") != kNothing;
  };
  const std::span<const Handle> args = graph_.children(object->args);
  for (Handle argument : args.first(std::min(args.size(), kMaxStateArguments))) {
    const Handle nested = item(argument, "state");
    for (Handle value : {argument, nested})
      if (value != kNothing && is_state(value)) return graph_.entries(pairs(value));
  }
  return std::nullopt;
}

Tree::Entries Tree::attributes(Handle handle) const {
  auto object = graph_.object(handle);
  if (!object || object->state == kNothing) return {};
  Entries all;
  auto add_dict = [&](Handle state) {
    if (auto entries = mapping(state)) all.insert(all.end(), entries->begin(), entries->end());
  };
  std::span<const Handle> both = graph_.tuple(object->state, 2);  // (dict or None, slots)
  if (both.empty()) {
    add_dict(object->state);
  } else {
    for (Handle state : both) add_dict(state);
  }
  return all;
}

std::vector<Handle> Tree::elements(Handle handle) const {
  auto object = graph_.object(handle);
  if (!object) {
    std::span<const Handle> items =
        graph_.kind(handle) == NodeKind::dict ? std::span<const Handle>() : graph_.children(handle);
    return {items.begin(), items.end()};
  }
  std::vector<Handle> all(object->items.begin(), object->items.end());
  // A state that is another object or a sequence.
  if (object->state != kNothing && attributes(handle).empty()) {
    if (graph_.object(object->state)) {
      all.push_back(object->state);
    } else if (graph_.kind(object->state) != NodeKind::dict) {
      std::ranges::copy(graph_.children(object->state), std::back_inserter(all));
    }
  }
  if (!mapping(handle)) {
    std::span<const Handle> args = graph_.children(object->args);
    // Structured sequences such as torch.return_types: a tuple of fields, and a dict of hidden fields.
    bool fields = args.size() == 1 || (args.size() == 2 && graph_.kind(args[1]) == NodeKind::dict);
    bool one_sequence = fields && (graph_.kind(args[0]) == NodeKind::tuple || graph_.kind(args[0]) == NodeKind::list);
    std::ranges::copy(one_sequence ? graph_.children(args[0]) : args, std::back_inserter(all));
  }
  return all;
}

bool Tree::is_leaf(Handle handle) const noexcept {
  switch (graph_.kind(handle)) {
    case NodeKind::list:
    case NodeKind::tuple:
    case NodeKind::dict:
    case NodeKind::set:
    case NodeKind::object:
    case NodeKind::persistent: return false;
    default: return true;
  }
}

uint64_t Tree::count_handles(Handle handle) const {
  auto object = graph_.object(handle);
  if (!object) return graph_.children(handle).size();
  uint64_t count = object->items.size() + object->pairs.size();
  for (Handle argument : graph_.children(object->args))
    count +=
        1 + graph_.children(argument).size() + (graph_.object(argument) ? graph_.object(argument)->pairs.size() : 0);
  if (object->state == kNothing) return count;
  for (Handle state : graph_.children(object->state)) count += 1 + graph_.children(state).size();
  return count;
}

Handle Tree::find(const Entries& entries, std::string_view key) const {
  auto found = std::ranges::find_if(entries, [&](const auto& entry) { return graph_.text(entry.first) == key; });
  return found == entries.end() ? kNothing : found->second;
}

}  // namespace depickle::torch
