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

constexpr size_t kMaxNesting = 256, kMaxNameBytes = 4096, kMaxUnused = 1000;

}  // namespace

Flattener::Flattener(Contents& contents, Arena& arena, Table& table, uint64_t expand_limit_bytes, bool with_parts)
    : contents_(contents),
      tree_(contents.graph),
      arena_(arena),
      table_(table),
      rebuilder_(contents, arena, expand_limit_bytes),
      with_parts_(with_parts) {}

void Flattener::flatten(Handle handle, std::string_view lone_name) {
  lone_name_ = lone_name;
  if (walk(handle) > 0) return;
  for (const Child& child : children_of(handle)) add_unused(child.name, child.value);
}

uint64_t Flattener::walk(Handle handle) {
  // A pickle of n nodes can have 2^n paths. Real files repeat few of their nodes.
  if (++visits_ > contents_.graph.nodes() * 4 + 10'000)
    throw Error(Code::limit, "TF01", "the pickle refers to the same values too often", {}, "do not trust this file");
  if (ancestors_.size() >= kMaxNesting)
    throw Error(Code::limit, "TF01", fmt::format("values are nested more than {} deep", kMaxNesting));
  if (std::ranges::find(ancestors_, handle) != ancestors_.end()) return 0;  // a cycle: a module refers to its parent

  Rebuilt rebuilt = rebuild(handle);
  if (rebuilt.kind != RebuiltKind::other) return take(std::move(rebuilt));

  ancestors_.push_back(handle);
  Tree::Entries state = tree_.attributes(handle);
  bool is_module = tree_.find(state, "_modules") != kNothing && tree_.find(state, "_parameters") != kNothing;
  uint64_t found = is_module ? walk_module(state) : walk_children(children_of(handle));
  ancestors_.pop_back();
  return found;
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
    add(rebuilt.tensor);
    return 1;
  }
  if (rebuilt.kind == RebuiltKind::no_data) {
    if (table_.unused.size() < kMaxUnused) table_.unused.push_back({path_, rebuilt.what, 0});
    return 1;
  }
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
  tensor.name = arena_.copy(name);
  table_.tensors.push_back(tensor);
}

std::vector<Flattener::Child> Flattener::children_of(Handle handle) const {
  std::vector<Child> children;
  if (auto entries = tree_.mapping(handle)) {
    children.reserve(entries->size());
    for (const auto& [key, value] : *entries) children.push_back({tree_.key_text(key), value});
  }
  for (const auto& [key, value] : tree_.attributes(handle)) {
    // nn.Module.state_dict() stores the versions of its modules in this attribute of the dict.
    if (tree_.graph().text(key) != "_metadata") children.push_back({tree_.key_text(key), value});
  }
  uint64_t index = 0;
  for (Handle value : tree_.elements(handle)) children.push_back({fmt::format("{}", index++), value});
  return children;
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

uint64_t Flattener::walk_children(const std::vector<Child>& children) {
  uint64_t found = 0;
  std::vector<const Child*> empty;
  for (const Child& child : children) {
    uint64_t in_child = walk_child(child.name, child.value);
    found += in_child;
    if (in_child == 0 && empty.size() < kMaxUnused) empty.push_back(&child);
  }
  if (found == 0) return 0;  // the caller lists the largest part without a tensor
  for (const Child* child : empty) add_unused(path_to(child->name), child->value);
  return found;
}

// As torch.nn.Module.state_dict(): parameters, persistent buffers, then children, in the order of their registration.
uint64_t Flattener::walk_module(const Tree::Entries& state) {
  const pickle::Graph& graph = tree_.graph();
  auto entries = [&](std::string_view name) {
    Handle handle = tree_.find(state, name);
    auto found = handle == kNothing ? std::nullopt : tree_.mapping(handle);
    return found ? *found : Tree::Entries();
  };
  std::set<std::string, std::less<>> hidden;
  if (Handle names = tree_.find(state, "_non_persistent_buffers_set"); names != kNothing) {
    for (Handle name : tree_.elements(names)) {
      if (auto text = graph.text(name)) hidden.emplace(*text);
    }
  }
  uint64_t found = 0;
  for (std::string_view kind : {"_parameters", "_buffers", "_modules"}) {
    for (const auto& [key, value] : entries(kind)) {
      if (graph.kind(value) == NodeKind::none) continue;
      std::string name = tree_.key_text(key);
      if (kind == "_buffers" && hidden.contains(name)) {
        table_.unused.push_back({path_to(name), "buffer that is not persistent, so not in the state_dict", 1});
        continue;
      }
      found += walk_child(name, value);
    }
  }
  add_unregistered(state);
  return found;
}

void Flattener::add_unregistered(const Tree::Entries& state) {
  for (const auto& [key, value] : state) {
    if (table_.unused.size() >= kMaxUnused || !is_tensor(value)) continue;
    table_.unused.push_back(
        {path_to(tree_.key_text(key)), "tensor that is not a parameter or buffer, so not in the state_dict", 1});
  }
}

bool Flattener::is_tensor(Handle handle) {
  try {
    return rebuilder_.rebuild(handle).kind != RebuiltKind::other;
  } catch (const Error&) {
    return true;  // a malformed tensor; walk() reports the error
  }
}

uint64_t Flattener::count_tensors(Handle root) {
  uint64_t count = 0;
  std::vector<bool> seen(tree_.graph().nodes());
  std::vector<Handle> open{root};
  while (!open.empty()) {
    Handle handle = open.back();
    open.pop_back();
    if (seen[handle]) continue;
    seen[handle] = true;
    if (is_tensor(handle)) {
      ++count;
      continue;
    }
    for (const Child& child : children_of(handle)) open.push_back(child.value);
  }
  return count;
}

void Flattener::add_unused(std::string path, Handle handle) {
  if (table_.unused.size() >= kMaxUnused) return;
  uint64_t tensors = count_tensors(handle);
  table_.unused.push_back({std::move(path), describe(tree_.graph(), handle), tensors});
}

}  // namespace depickle::torch
