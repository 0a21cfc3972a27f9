// Finds tensors with the same name, and the keys that give it.
#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/formats/torch/flatten.h"

namespace depickle::torch {
namespace {

// `"a" (str), 1 (int)`
std::string spelled(const Tree& tree, const Flattener::Children& keys) {
  constexpr size_t kMaxShown = 8;
  std::string out = keys.size() == 1 ? "the key " : "the keys ";
  for (size_t i = 0; i < std::min(keys.size(), kMaxShown); ++i) {
    const Flattener::Child& child = keys[i];
    out += i > 0 ? ", " : "";
    out += child.key == pickle::kNothing ? fmt::format("{} (item)", child.index) : tree.spelled_key(child.key);
  }
  return keys.size() > kMaxShown ? out + ", …" : out;
}

}  // namespace

// WT04, with the keys. weights::Builder checks the names of every reader again.
void Flattener::check_names(Handle root) {
  if (!may_collide_) return;
  std::vector<std::string_view> names;
  names.reserve(table_.tensors.size());
  for (const Tensor& tensor : table_.tensors) names.push_back(tensor.name);
  std::ranges::sort(names);
  const auto repeated = std::ranges::adjacent_find(names);
  if (repeated == names.end()) return;
  // The second search records the keys of this name.
  collision_ = *repeated;
  steps_ = 0;
  table_.tensors.clear();
  repeated_.clear();
  walked_.assign(walked_.size(), false);
  walk(root);
}

void Flattener::note_collision() {
  const std::string keys = spelled(tree_, path_keys_);
  if (!colliding_keys_.empty())
    throw Error(Code::malformed, "WT04", fmt::format("two tensors have this name: {}, and {}", colliding_keys_, keys),
        Where::of(*collision_));
  colliding_keys_ = keys;
}

}  // namespace depickle::torch
