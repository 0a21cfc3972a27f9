#include "depickle/formats/torch/flatten.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/pickle/describe.h"

namespace depickle::torch {
namespace {

using pickle::Handle;
using pickle::kNothing;
using pickle::NodeKind;

constexpr size_t kMaxNesting = 256, kMaxNameBytes = 4096;
// A checkpoint is allowed this many steps, and kStepsPerValue for each value and each reference to one.
constexpr uint64_t kMinSteps = 1'000'000, kStepsPerValue = 16;
constexpr std::string_view kOptimizerState = "optimizer state";
constexpr std::string_view kUnregistered = "tensor that is not a parameter or buffer, so not in the state_dict";

// Returns the number of values and of references between them.
uint64_t size_of(const pickle::Graph& graph) {
  uint64_t size = graph.nodes();
  for (Handle handle = 0; handle < graph.nodes(); ++handle) {
    size += graph.children(handle).size();
    if (auto object = graph.object(handle)) size += object->items.size() + object->pairs.size();
  }
  return size;
}

}  // namespace

Flattener::Flattener(Contents& contents, Arena& arena, Table& table, uint64_t expand_limit_bytes, bool with_parts)
    : contents_(contents),
      tree_(contents.graph),
      arena_(arena),
      table_(table),
      rebuilder_(contents, arena, expand_limit_bytes),
      training_(tree_, rebuilder_),
      with_parts_(with_parts),
      walked_(contents.graph.nodes()),
      max_steps_(kMinSteps) {}

// TF01
void Flattener::spend(uint64_t steps) {
  steps_ += steps;
  if (steps_ <= max_steps_) return;
  if (!is_limit_known_) {
    max_steps_ += size_of(contents_.graph) * kStepsPerValue;
    is_limit_known_ = true;
  }
  if (steps_ > max_steps_)
    throw Error(Code::limit, "TF01",
        fmt::format("too many paths lead to the same values (listing the tensors takes more than {} steps)",
            grouped(max_steps_)));
}

void Flattener::flatten(Handle handle, std::string_view lone_name, std::string_view prefix) {
  lone_name_ = lone_name;
  path_ = prefix;
  if (!prefix.empty()) path_keys_.push_back({.key = kNothing, .value = handle});
  if (walk(handle) > 0) return check_names(handle);
  if (is_training_state(handle)) return add_unused(".", handle);
  const Children children = children_of(handle);
  const bool is_flat =
      !children.empty() && std::ranges::none_of(children, [](const Child& child) { return child.group == kNoGroup; });
  is_flat ? add_unused(".", handle) : add_unused(path_, children);
}

uint64_t Flattener::walk(Handle handle) {
  spend(1);
  if (tree_.is_leaf(handle)) return 0;
  if (std::ranges::find(ancestors_, handle) != ancestors_.end()) return 0;  // a cycle: a module refers to its parent
  const bool is_repeated = walked_[handle];
  if (is_repeated && count_wanted(handle) == 0) return 0;
  if (ancestors_.size() >= kMaxNesting)
    throw Error(Code::limit, "TF01", fmt::format("values are nested more than {} deep", kMaxNesting));

  Rebuilt rebuilt = rebuild(handle);
  if (rebuilt.kind != RebuiltKind::other) return take(std::move(rebuilt));
  if (!keeps_training_state_ && is_training_state(handle)) return 0;

  walked_[handle] = true;
  ancestors_.push_back(handle);
  std::optional<uint64_t> found;
  if (const auto state = repeated_.contains(handle) ? std::nullopt : module_state(handle)) {
    found = walk_module(*state);
  } else {
    found = walk_script_object(handle, is_repeated);
  }
  if (!found) found = walk_children(handle, is_repeated);
  ancestors_.pop_back();
  return *found;
}

// Adds the name of the tensor to errors.
Rebuilt Flattener::rebuild(Handle handle) {
  try {
    return rebuilder_.rebuild(handle);
  } catch (const Error& error) {
    Where where = error.where();
    if (where.tensor.empty()) where.tensor = path_;
    throw error.at(where);
  }
}

uint64_t Flattener::take(Rebuilt&& rebuilt) {
  if (rebuilt.kind == RebuiltKind::tensor) {
    if (is_packed_) {
      add_unused(path_, std::string(kUnregistered), 1);
    } else {
      add(rebuilt.tensor);
    }
    return 1;
  }
  if (rebuilt.kind == RebuiltKind::no_data) {
    add_unused(path_, rebuilt.what, 0);
    return 1;
  }
  spend(path_.size() / kNameBytesPerStep);
  table_.unsupported.push_back({path_, rebuilt.what});
  if (with_parts_) {
    for (const auto& [name, part] : rebuilt.parts) {
      if (is_tensor(part)) walk_child(name, {.key = kNothing, .value = part});
    }
  }
  return 1;
}

void Flattener::add(Tensor tensor) {
  std::string_view name = path_keys_.empty() ? std::string_view(lone_name_) : std::string_view(path_);
  if (name.size() > kMaxNameBytes)
    throw Error(Code::limit, "TF02",
        fmt::format("a tensor's name has {} bytes (at most {})", name.size(), kMaxNameBytes), Where::of(name));
  spend(name.size() / kNameBytesPerStep);
  tensor.name = arena_.copy(name);
  table_.tensors.push_back(tensor);
  const bool has_text_key =
      path_keys_.size() == 1 && path_keys_[0].key != kNothing && tree_.graph().text(path_keys_[0].key);
  may_collide_ |= !has_text_key;
  if (name == collision_) note_collision();
}

Flattener::Children Flattener::children_of(Handle handle) {
  spend(tree_.count_handles(handle));
  Children children;
  if (auto entries = tree_.mapping(handle)) {
    children.reserve(entries->size());
    for (const auto& [key, value] : *entries) children.push_back({.key = key, .value = value});
    const auto groups = training_.flat_groups(*entries, [this](uint64_t steps) { spend(steps); });
    for (size_t i = 0; i < groups.size(); ++i)
      if (groups[i]) children[i].group = group_id(*groups[i]);
  }
  for (const auto& [key, value] : tree_.attributes(handle)) {
    // nn.Module.state_dict() stores the versions of its modules in this attribute of the dict.
    if (tree_.graph().text(key) != "_metadata") children.push_back({.key = key, .value = value});
  }
  uint32_t index = 0;
  for (Handle value : tree_.elements(handle)) children.push_back({.key = kNothing, .value = value, .index = index++});
  return children;
}

uint32_t Flattener::group_id(std::string_view group) {
  const auto [found, is_new] = group_ids_.try_emplace(group, static_cast<uint32_t>(groups_.size()));
  if (is_new) groups_.push_back(group);
  return found->second;
}

std::optional<Tree::Entries> Flattener::module_state(Handle handle) {
  if (!tree_.graph().object(handle)) return std::nullopt;
  spend(tree_.count_handles(handle));
  return tree_.module_state(handle);
}

bool Flattener::is_module(Handle handle) {
  const pickle::Global* script_class = script_global_of(handle);
  return script_class ? contents_.script_classes.find(script_class) != nullptr : module_state(handle).has_value();
}

// Returns the children with tensors, and as many others as Table::unused may list.
const Flattener::Children& Flattener::repeated_children_of(Handle handle) {
  auto [found, is_new] = repeated_.try_emplace(handle);
  if (!is_new) return found->second;
  size_t without_tensors = 0;
  for (const Child& child : children_of(handle)) {
    if (count_wanted(child.value) > 0 || without_tensors++ < kMaxUnused) found->second.push_back(child);
  }
  return found->second;
}

std::string Flattener::name_of(const Child& child) {
  if (child.key == kNothing) return fmt::format("{}", child.index);
  if (auto text = tree_.graph().text(child.key)) {
    spend(text->size() / kNameBytesPerStep);
    return tree_.key_text(child.key);
  }
  std::string name = tree_.key_text(child.key);
  spend(name.size() / kNameBytesPerStep);
  return name;
}

std::string Flattener::path_to(const std::string& child) const {
  return path_keys_.empty() ? child : path_ + "." + child;
}

uint64_t Flattener::walk_child(std::string_view name, const Child& child) {
  size_t length = path_.size();
  if (!path_keys_.empty()) path_ += '.';
  path_keys_.push_back(child);
  path_ += name;
  uint64_t found = walk(child.value);
  path_.resize(length);
  path_keys_.pop_back();
  return found;
}

uint64_t Flattener::walk_children(Handle handle, bool is_repeated) {
  const Children first = is_repeated ? Children() : children_of(handle);
  const Children& children = is_repeated ? repeated_children_of(handle) : first;
  uint64_t found = 0;
  size_t others = 0;
  Children empty;
  for (const Child& child : children) {
    const bool is_skipped = tree_.is_leaf(child.value) || (child.group != kNoGroup && !keeps_training_state_);
    const uint64_t in_child = is_skipped ? 0 : walk_child(name_of(child), child);
    found += in_child;
    if (in_child == 0 && (child.group != kNoGroup || others++ < kMaxUnused)) empty.push_back(child);
  }
  // If nothing was found, the caller lists the largest part without a tensor.
  if (found > 0 && !is_packed_) add_unused(path_, empty);
  return found;
}

// As torch.nn.Module.state_dict(): parameters, persistent buffers, then children, in the order of their registration.
uint64_t Flattener::walk_module(const Tree::Entries& state) {
  const pickle::Graph& graph = tree_.graph();
  auto entries = [&](std::string_view name) {
    Handle handle = tree_.find(state, name);
    if (handle == kNothing) return Tree::Entries();
    spend(tree_.count_handles(handle));
    return tree_.mapping(handle).value_or(Tree::Entries());
  };
  std::set<std::string, std::less<>> hidden;
  if (Handle names = tree_.find(state, "_non_persistent_buffers_set"); names != kNothing) {
    spend(tree_.count_handles(names));
    for (Handle name : tree_.elements(names)) {
      if (auto text = graph.text(name)) hidden.emplace(*text);
    }
  }
  uint64_t found = 0;
  for (std::string_view kind : {"_parameters", "_buffers", "_modules"}) {
    for (const auto& [key, value] : entries(kind)) {
      if (graph.kind(value) == NodeKind::none) continue;
      const Child child{.key = key, .value = value};
      std::string name = name_of(child);
      if (kind == "_buffers" && hidden.contains(name)) {
        add_unused(path_to(name), "buffer that is not persistent, so not in the state_dict", 1);
        continue;
      }
      found += walk_child(name, child);
    }
  }
  add_unregistered(state);
  return found;
}

void Flattener::add_unregistered(const Tree::Entries& state) {
  for (const auto& [key, value] : state)
    if (!is_unused_full() && is_tensor(value)) add_unregistered(key, value);
}

void Flattener::add_unregistered(Handle key, Handle value) {
  if (is_unused_full()) return;
  if (is_tensor(value)) {
    add_unused(path_to(name_of({.key = key, .value = value})), std::string(kUnregistered), 1);
  } else if (count_tensors(value) > 0) {
    add_unused(path_to(name_of({.key = key, .value = value})), value);
  }
}

void Flattener::add_unused(std::string_view path, const Children& children) {
  auto joined = [&](std::string_view name) {
    return path.empty() || name.empty() ? fmt::format("{}{}", path, name) : fmt::format("{}.{}", path, name);
  };
  std::map<uint32_t, uint64_t> grouped_tensors;
  for (const Child& child : children) {
    if (child.group != kNoGroup) {
      grouped_tensors[child.group] += count_tensors(child.value);
    } else if (!is_unused_full()) {
      add_unused(joined(name_of(child)), child.value);
    }
  }
  for (const auto& [group, tensors] : grouped_tensors) {
    const std::string name = joined(groups_[group]);
    add_unused(name.empty() ? "state" : name, std::string(kOptimizerState), tensors);
  }
}

void Flattener::add_unused(std::string path, Handle handle) {
  if (is_unused_full()) return;
  uint64_t tensors = count_tensors(handle);
  add_unused(std::move(path), describe_unused(handle), tensors);
}

std::string Flattener::describe_unused(Handle handle) {
  using Kind = TrainingState::Kind;
  const TensorCounts counts = counts_of(handle);
  const Kind kind = training_.kind(handle);
  const bool has_only_training_state = counts.all > 0 && counts.model == 0;
  if (kind == Kind::optimizer || (has_only_training_state && counts.has_optimizer_state))
    return std::string(kOptimizerState);
  auto is_random = [&](Handle each) { return training_.kind(each) == Kind::random; };
  const std::vector<Handle> elements = tree_.elements(handle);
  if (is_random(handle) || (has_only_training_state && std::ranges::any_of(elements, is_random)))
    return "random number generator state";
  if (kind == Kind::metrics || has_only_training_state) return "metrics";
  return describe(tree_.graph(), handle);
}

void Flattener::add_unused(std::string path, std::string description, uint64_t tensors) {
  if (is_unused_full()) return;
  if (path.size() > kMaxNameBytes) path = printable(path, kMaxNameBytes);
  table_.unused.push_back({std::move(path), std::move(description), tensors});
}

}  // namespace depickle::torch
