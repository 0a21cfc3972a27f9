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
  path_names_ = prefix.empty() ? 0 : 1;
  if (walk(handle) > 0) return;
  for (const Child& child : children_of(handle)) {
    if (is_unused_full()) return;
    add_unused(path_to(name_of(child)), child.value);
  }
}

uint64_t Flattener::walk(Handle handle) {
  spend(1);
  if (tree_.is_leaf(handle)) return 0;
  if (std::ranges::find(ancestors_, handle) != ancestors_.end()) return 0;  // a cycle: a module refers to its parent
  const bool is_repeated = walked_[handle];
  if (is_repeated && count_tensors(handle) == 0) return 0;
  if (ancestors_.size() >= kMaxNesting)
    throw Error(Code::limit, "TF01", fmt::format("values are nested more than {} deep", kMaxNesting));

  Rebuilt rebuilt = rebuild(handle);
  if (rebuilt.kind != RebuiltKind::other) return take(std::move(rebuilt));

  walked_[handle] = true;
  ancestors_.push_back(handle);
  const Tree::Entries state = repeated_.contains(handle) ? Tree::Entries() : attributes_of(handle);
  bool is_module = tree_.find(state, "_modules") != kNothing && tree_.find(state, "_parameters") != kNothing;
  std::optional<uint64_t> found;
  if (is_module) {
    found = walk_module(state);
  } else {
    found = walk_script_object(handle, state, is_repeated);
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
      if (is_tensor(part)) walk_child(name, part);
    }
  }
  return 1;
}

void Flattener::add(Tensor tensor) {
  std::string_view name = path_names_ == 0 ? std::string_view(lone_name_) : std::string_view(path_);
  if (name.size() > kMaxNameBytes)
    throw Error(Code::limit, "TF02",
        fmt::format("a tensor's name has {} bytes (at most {})", name.size(), kMaxNameBytes), Where::of(name));
  spend(name.size() / kNameBytesPerStep);
  tensor.name = arena_.copy(name);
  table_.tensors.push_back(tensor);
}

Flattener::Children Flattener::children_of(Handle handle) {
  spend(tree_.count_handles(handle));
  Children children;
  if (auto entries = tree_.mapping(handle)) {
    children.reserve(entries->size());
    for (const auto& [key, value] : *entries) children.push_back({key, 0, value});
  }
  for (const auto& [key, value] : tree_.attributes(handle)) {
    // nn.Module.state_dict() stores the versions of its modules in this attribute of the dict.
    if (tree_.graph().text(key) != "_metadata") children.push_back({key, 0, value});
  }
  uint64_t index = 0;
  for (Handle value : tree_.elements(handle)) children.push_back({kNothing, index++, value});
  return children;
}

Tree::Entries Flattener::attributes_of(Handle handle) {
  if (!tree_.graph().object(handle)) return {};
  spend(tree_.count_handles(handle));
  return tree_.attributes(handle);
}

// Returns the children with tensors, and as many others as Table::unused may list.
const Flattener::Children& Flattener::repeated_children_of(Handle handle) {
  auto [found, is_new] = repeated_.try_emplace(handle);
  if (!is_new) return found->second;
  size_t without_tensors = 0;
  for (const Child& child : children_of(handle)) {
    if (count_tensors(child.value) > 0 || without_tensors++ < kMaxUnused) found->second.push_back(child);
  }
  return found->second;
}

std::string Flattener::name_of(const Child& child) {
  if (child.key == kNothing) return fmt::format("{}", child.index);
  if (auto text = tree_.graph().text(child.key)) spend(text->size() / kNameBytesPerStep);
  return tree_.key_text(child.key);
}

std::string Flattener::path_to(const std::string& child) const {
  return path_names_ == 0 ? child : path_ + "." + child;
}

uint64_t Flattener::walk_child(std::string_view name, Handle value) {
  size_t length = path_.size();
  if (path_names_++ > 0) path_ += '.';
  path_ += name;
  uint64_t found = walk(value);
  path_.resize(length);
  --path_names_;
  return found;
}

uint64_t Flattener::walk_children(Handle handle, bool is_repeated) {
  const Children first = is_repeated ? Children() : children_of(handle);
  const Children& children = is_repeated ? repeated_children_of(handle) : first;
  uint64_t found = 0;
  std::vector<const Child*> empty;
  for (const Child& child : children) {
    const uint64_t in_child = tree_.is_leaf(child.value) ? 0 : walk_child(name_of(child), child.value);
    found += in_child;
    if (in_child == 0 && empty.size() < kMaxUnused) empty.push_back(&child);
  }
  if (found == 0 || is_packed_) return found;  // the caller lists the largest part without a tensor
  for (const Child* child : empty) {
    if (is_unused_full()) break;
    add_unused(path_to(name_of(*child)), child->value);
  }
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
      std::string name = name_of({key, 0, value});
      if (kind == "_buffers" && hidden.contains(name)) {
        add_unused(path_to(name), "buffer that is not persistent, so not in the state_dict", 1);
        continue;
      }
      found += walk_child(name, value);
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
    add_unused(path_to(name_of({key, 0, value})), std::string(kUnregistered), 1);
  } else if (count_tensors(value) > 0) {
    add_unused(path_to(name_of({key, 0, value})), value);
  }
}

bool Flattener::is_tensor(Handle handle) {
  try {
    return rebuilder_.rebuild(handle).kind != RebuiltKind::other;
  } catch (const Error&) {
    return true;  // a malformed tensor; walk() reports the error
  }
}

void Flattener::add_unused(std::string path, Handle handle) {
  if (is_unused_full()) return;
  uint64_t tensors = count_tensors(handle);
  add_unused(std::move(path), describe(tree_.graph(), handle), tensors);
}

void Flattener::add_unused(std::string path, std::string description, uint64_t tensors) {
  if (is_unused_full()) return;
  if (path.size() > kMaxNameBytes) path = printable(path, kMaxNameBytes);
  table_.unused.push_back({std::move(path), std::move(description), tensors});
}

}  // namespace depickle::torch
