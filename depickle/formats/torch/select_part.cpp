// Finds the model in a checkpoint.
#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/pickle/describe.h"
#include "depickle/formats/torch/flatten.h"

namespace depickle::torch {
namespace {

using pickle::Handle;

// The keys under which trainers store the model (PyTorch Lightning, DeepSpeed, timm, fairseq, ESRGAN, YOLO …). The
// fallback keys name averages of the weights, or one network of several. They apply only if no model key matches.
constexpr std::array<std::string_view, 9> kModelKeys = {
    "state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params", "params_ema"};
constexpr std::array<std::string_view, 7> kFallbackKeys = {
    "ema", "model_ema", "state_dict_ema", "ema_state_dict", "generator", "student", "teacher"};
constexpr int kMaxModelDepth = 4;

std::string joined(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

class Selector {
 public:
  Selector(Flattener& flattener, const Tree& tree) : flattener_(flattener), tree_(tree) {}

  Part find_model(Part part, int level) {
    auto entries = tree_.mapping(part.handle);
    if (!entries || level > kMaxModelDepth) return part;
    for (auto group :
        {std::span<const std::string_view>(kModelKeys), std::span<const std::string_view>(kFallbackKeys)}) {
      std::vector<Part> found;
      for (std::string_view key : group) {
        Handle handle = tree_.find(*entries, key);
        if (handle != pickle::kNothing && !flattener_.is_tensor(handle) && flattener_.count_tensors(handle) > 0)
          found.push_back({joined(part.path, key), handle});
      }
      if (found.size() == 1) return find_model(found[0], level + 1);
      if (found.size() > 1) throw_ambiguous(found);
    }
    return part;
  }

  Part find_path(std::string_view path) {
    Handle found = descend(tree_.graph().root(), path, 0);
    if (found == pickle::kNothing)
      throw Error(Code::not_found, "TF03", fmt::format("the checkpoint contains no part {}", quoted(path)), {},
          "its parts: " + list_parts());
    return {std::string(path), found};
  }

 private:
  [[noreturn]] void throw_ambiguous(const std::vector<Part>& parts) {
    std::string list;
    for (const Part& part : parts)
      list += fmt::format("{}{} ({})", list.empty() ? "" : ", ", quoted(part.path),
          plural(flattener_.count_tensors(part.handle), "tensor"));
    throw Error(Code::unsupported, "TF03", fmt::format("several parts could be the model: {}", list))
        .with_reason(Reason::ambiguous_root);
  }

  std::string list_parts() {
    std::string list;
    auto entries = tree_.mapping(tree_.graph().root());
    for (size_t i = 0; entries && i < entries->size() && i < 20; ++i) {
      const auto& [key, value] = (*entries)[i];
      list += fmt::format(
          "{}{} ({})", list.empty() ? "" : ", ", quoted(tree_.key_text(key), 60), describe(tree_.graph(), value));
    }
    return list.empty() ? "none" : list;
  }

  // A key can contain dots, so every split of the path is tried, once from each value.
  Handle descend(Handle handle, std::string_view path, int level) {
    if (path.empty()) return handle;
    if (level > 64 || !tried_.emplace(handle, path.size()).second) return pickle::kNothing;
    auto try_child = [&](std::string_view name, Handle value) {
      if (name.empty() || !path.starts_with(name)) return pickle::kNothing;
      if (path.size() == name.size()) return value;
      return path[name.size()] == '.' ? descend(value, path.substr(name.size() + 1), level + 1) : pickle::kNothing;
    };
    Tree::Entries all = tree_.mapping(handle).value_or(Tree::Entries());
    Tree::Entries attributes = tree_.attributes(handle);
    all.insert(all.end(), attributes.begin(), attributes.end());
    for (const auto& [key, value] : all) {
      if (Handle found = try_child(tree_.key_text(key), value); found != pickle::kNothing) return found;
    }
    std::vector<Handle> elements = tree_.elements(handle);
    for (size_t i = 0; i < elements.size(); ++i) {
      if (Handle found = try_child(fmt::format("{}", i), elements[i]); found != pickle::kNothing) return found;
    }
    return pickle::kNothing;
  }

  Flattener& flattener_;
  const Tree& tree_;
  std::set<std::pair<Handle, size_t>> tried_;  ///< values, and the sizes of the paths that were tried from them
};

}  // namespace

Part select_part(Flattener& flattener, const Tree& tree, std::string_view root) {
  Part whole{"", tree.graph().root()};
  if (root == ".") return whole;
  Selector selector(flattener, tree);
  return root.empty() ? selector.find_model(whole, 0) : selector.find_path(root);
}

void add_unselected(Flattener& flattener, const Tree& tree, const Part& part) {
  std::string path;
  Handle handle = tree.graph().root();
  while (handle != part.handle) {
    auto entries = tree.mapping(handle);
    Handle next = pickle::kNothing;
    std::string next_path;
    if (!entries) return;  // the path continues in an object's attributes
    for (const auto& [key, value] : *entries) {
      if (next != pickle::kNothing && flattener.is_unused_full()) break;
      std::string here = joined(path, tree.key_text(key));
      bool on_path = part.path == here || part.path.starts_with(here + ".");
      if (on_path && next == pickle::kNothing) {
        next = value;
        next_path = here;
      } else {
        flattener.add_unused(std::move(here), value);
      }
    }
    if (next == pickle::kNothing) return;
    handle = next;
    path = next_path;
  }
}

}  // namespace depickle::torch
