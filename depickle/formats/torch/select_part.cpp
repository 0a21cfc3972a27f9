// Finds the model in a checkpoint.
#include <algorithm>
#include <map>
#include <set>
#include <span>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/pickle/describe.h"
#include "depickle/formats/torch/flatten.h"

namespace depickle::torch {
namespace {

using pickle::Handle;

// The keys under which trainers store the model (PyTorch Lightning, DeepSpeed, timm, fairseq, BasicSR, nnU-Net, RVC …).
constexpr std::string_view kModelKeys[] = {"state_dict", "model_state_dict", "model_state", "model", "module", "net",
    "network", "network_weights", "weights", "weight", "params", "params_ema", "string_to_param"};
// Averages of the weights, or one network of several. They apply only if no model key matches.
constexpr std::string_view kNetworkKeys[] = {"ema", "model_ema", "state_dict_ema", "ema_state_dict", "g_ema", "G_ema",
    "net_g", "policy", "generator", "student", "teacher"};
// Network keys that are not preferred to the networks beside them.
constexpr std::string_view kEqualKeys[] = {"generator", "student", "teacher"};
// Words in the names of training values that are tensors, besides those of metrics.
constexpr std::string_view kRandomNames[] = {"rng", "rng_state", "rng_states", "random_state", "cpu_rng_state",
    "cuda_rng_state", "torch_rng_state", "gpu_rng_state", "seed"};
constexpr std::string_view kParameterNames[] = {
    "weight", "bias", "kernel", "embedding", "running_mean", "running_var", "num_batches_tracked"};
constexpr int kMaxModelDepth = 4, kMaxNetworkDepth = 8, kMaxItems = 64;

bool is_one_of(std::string_view name, std::span<const std::string_view> names) {
  return std::ranges::find(names, name) != names.end();
}

bool is_parameter_name(std::string_view key) {
  const size_t dot = key.find('.');
  return (dot != key.npos && dot > 0 && dot + 1 < key.size()) || is_one_of(key, kParameterNames) ||
         key.starts_with("weight_") || key.starts_with("bias_");
}

std::string joined(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

class Selector {
 public:
  Selector(Flattener& flattener, const Tree& tree) : flattener_(flattener), tree_(tree) {}

  Part find_model() {
    Part part{"", tree_.graph().root()};
    bool is_inside_model = false;
    for (int level = 0; level <= kMaxModelDepth; ++level) {
      if (tree_.is_leaf(part.handle) || flattener_.is_tensor(part.handle) || flattener_.is_module(part.handle)) break;
      const Children children = flattener_.children_of(part.handle);
      only_item_ = nullptr;
      const Child* next = find_known(part, children, is_inside_model);
      if (!next && !has_known_) next = find_network(part, children, is_inside_model);
      if (!next) break;
      is_inside_model |= next != only_item_;
      enter(part, *next);
    }
    return part;
  }

  Part find_path(std::string_view path) {
    Part part{std::string(path), pickle::kNothing};
    part.handle = descend(tree_.graph().root(), path, part);
    if (part.handle == pickle::kNothing)
      throw Error(Code::not_found, "TF03", fmt::format("the checkpoint contains no part {}", quoted(path)), {},
          "its parts: " + list_parts());
    std::ranges::reverse(part.steps);
    return part;
  }

 private:
  using Child = Flattener::Child;
  using Children = Flattener::Children;
  using Choice = std::vector<const Child*>;

  void enter(Part& part, const Child& child) {
    std::string name = flattener_.name_of(child);
    part.path = joined(part.path, name);
    part.steps.push_back({part.handle, child.value, std::move(name)});
    part.handle = child.value;
  }

  [[noreturn]] void throw_ambiguous(const Part& part, const Choice& candidates) {
    constexpr size_t kMaxListed = 20;
    std::string list;
    std::vector<std::string> paths;
    for (const Child* child : candidates) {
      if (paths.size() == kMaxListed) {
        list += fmt::format(" and {} more", candidates.size() - kMaxListed);
        break;
      }
      const std::string& path = paths.emplace_back(joined(part.path, flattener_.name_of(*child)));
      list += fmt::format("{}{} ({}, {})", list.empty() ? "" : ", ", quoted(path),
          plural(flattener_.count_model_tensors(child->value), "tensor"),
          human_bytes(flattener_.count_model_bytes(child->value)));
    }
    throw Error(Code::unsupported, "TF03", fmt::format("several parts could be the model: {}", list))
        .with_reason(Reason::ambiguous_root)
        .with_choices(std::move(paths));
  }

  bool has_model_tensors(const Child& child) {
    return child.group == Flattener::kNoGroup && !tree_.is_leaf(child.value) &&
           flattener_.count_model_tensors(child.value) > 0;
  }

  bool has_optimizer_state(const Children& children) {
    return std::ranges::any_of(children, [&](const Child& child) {
      return child.group != Flattener::kNoGroup ||
             (!has_model_tensors(child) && flattener_.counts_of(child.value).has_optimizer_state) ||
             flattener_.is_optimizer_state(child.value);
    });
  }

  Choice networks_in(const Children& children) {
    Choice networks;
    for (const Child& child : children)
      if (has_model_tensors(child) && is_network(child.value, 0)) networks.push_back(&child);
    return networks;
  }

  // Returns the entries with one of these keys that contain tensors, in the order of the keys.
  Choice find_keys(const Children& children, std::span<const std::string_view> keys) {
    std::vector<const Child*> by_key(keys.size());
    for (const Child& child : children) {
      const auto text = child.key == pickle::kNothing ? std::nullopt : tree_.graph().text(child.key);
      const auto key = text ? std::ranges::find(keys, *text) : keys.end();
      if (key != keys.end() && has_model_tensors(child) && !flattener_.is_tensor(child.value))
        by_key[static_cast<size_t>(key - keys.begin())] = &child;
    }
    std::erase(by_key, nullptr);
    return by_key;
  }

  std::string_view key_of(const Child& child) { return *tree_.graph().text(child.key); }

  // Returns the entry with a known key. Sets has_known_ if there are such entries, also if they are not the model.
  const Child* find_known(const Part& part, const Children& children, bool is_inside_model) {
    Choice found = find_keys(children, kModelKeys);
    const Choice of_networks = find_keys(children, kNetworkKeys);
    const size_t known = found.size() + of_networks.size();
    has_known_ = known > 0;
    if (!has_known_) return nullptr;
    if (found.size() == 2 && key_of(*found[0]) == "params" && key_of(*found[1]) == "params_ema")
      found.erase(found.begin());
    const bool is_model_key = !found.empty();
    if (!is_model_key) found = of_networks;
    if (found.size() > 1) throw_ambiguous(part, found);
    const bool may_be_equal = !is_model_key && is_one_of(key_of(*found[0]), kEqualKeys);
    if (!is_inside_model && !may_be_equal) return found[0];
    const Choice networks = networks_in(children);
    const bool has_others = std::ranges::any_of(networks, [&](const Child* network) {
      const auto key = network->key == pickle::kNothing ? std::nullopt : tree_.graph().text(network->key);
      return !key || !(is_one_of(*key, kModelKeys) || is_one_of(*key, kNetworkKeys));
    });
    if (!has_others) return found[0];
    if (may_be_equal && !is_inside_model) throw_ambiguous(part, networks);
    return has_optimizer_state(children) ? found[0] : nullptr;  // else a module of the model
  }

  // What the entries of a value are, if it may be a checkpoint.
  struct Survey {
    Choice networks;
    bool has_tensors = false;  ///< tensors of its own that are not training values
    bool has_values = false;   ///< training state, or values without tensors
  };

  bool is_training_value(const Child& child) {
    const auto key = child.key == pickle::kNothing ? std::nullopt : tree_.graph().text(child.key);
    return key && !is_parameter_name(*key) && (is_metric_name(*key) || is_one_of(*key, kRandomNames));
  }

  Survey survey(const Children& children) {
    Survey found;
    for (const Child& child : children) {
      if (tree_.is_leaf(child.value)) {
        found.has_values |= tree_.graph().kind(child.value) != pickle::NodeKind::none;
      } else if (child.group != Flattener::kNoGroup || flattener_.is_training_state(child.value)) {
        found.has_values = true;
      } else if (flattener_.is_tensor(child.value)) {
        found.has_values = true;
        if (is_training_value(child)) continue;
        found.has_tensors = true;
        return found;
      } else if (!has_model_tensors(child)) {
        found.has_values |= tree_.count_handles(child.value) > 0;
      } else if (is_network(child.value, 0)) {
        found.networks.push_back(&child);
      }
    }
    return found;
  }

  // Returns the only network of a checkpoint, or the only item of a value that is not one.
  const Child* find_network(const Part& part, const Children& children, bool is_inside_model) {
    const bool has_keys =
        std::ranges::any_of(children, [](const Child& child) { return child.key != pickle::kNothing; });
    if (!has_keys && children.size() > kMaxItems) return nullptr;
    const Survey found = survey(children);
    if (found.has_tensors) return nullptr;
    if (!found.has_values && children.size() == 1 && !is_inside_model && is_checkpoint(children[0].value))
      return only_item_ = &children[0];
    if (!found.has_values || found.networks.empty()) return nullptr;
    const bool has_optimizer = has_optimizer_state(children);
    if (is_inside_model && !has_optimizer) return nullptr;
    if (found.networks.size() == 1) return found.networks[0];
    const bool are_state_dicts =
        std::ranges::all_of(found.networks, [&](const Child* child) { return is_state_dict(child->value); });
    if (has_optimizer || are_state_dicts) throw_ambiguous(part, found.networks);
    return nullptr;
  }

  bool is_checkpoint(Handle handle) {
    if (flattener_.is_tensor(handle) || flattener_.is_module(handle)) return false;
    const Children children = flattener_.children_of(handle);
    const Survey found = survey(children);
    return !found.has_tensors && found.has_values && has_optimizer_state(children);
  }

  // Returns whether a value is a module or a dict with names of modules and parameters: "conv.weight".
  bool is_state_dict(Handle handle) {
    if (flattener_.is_module(handle)) return true;
    return std::ranges::any_of(flattener_.children_of(handle), [&](const Child& child) {
      const auto key = child.key == pickle::kNothing ? std::nullopt : tree_.graph().text(child.key);
      return key && key->find('.') != key->npos && is_parameter_name(*key) && !tree_.is_leaf(child.value) &&
             flattener_.is_tensor(child.value);
    });
  }

  bool is_network(Handle handle, int depth) {
    if (tree_.is_leaf(handle) || depth > kMaxNetworkDepth || flattener_.is_tensor(handle)) return false;
    const auto [known, is_new] = networks_.try_emplace(handle, false);  // false while it is being searched
    if (!is_new) return known->second;
    if (flattener_.is_training_state(handle)) return false;
    if (flattener_.is_module(handle)) return known->second = true;
    for (const Child& child : flattener_.children_of(handle)) {
      const auto key = child.key == pickle::kNothing ? std::nullopt : tree_.graph().text(child.key);
      if (!key || child.group != Flattener::kNoGroup || tree_.is_leaf(child.value)) continue;
      if (flattener_.is_tensor(child.value) ? is_parameter_name(*key) : is_network(child.value, depth + 1))
        return networks_[handle] = true;
    }
    return false;
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

  // A key can contain dots, so every split of the path is tried, once from each value. Adds the steps to `part`, the
  // last one first.
  Handle descend(Handle handle, std::string_view path, Part& part, int level = 0) {
    if (path.empty()) return handle;
    if (level > 64 || !tried_.emplace(handle, path.size()).second) return pickle::kNothing;
    auto try_child = [&](const std::string& name, Handle value) {
      if (name.empty() || !path.starts_with(name)) return pickle::kNothing;
      if (path.size() != name.size() && path[name.size()] != '.') return pickle::kNothing;
      const bool is_last = path.size() == name.size();
      const Handle found = is_last ? value : descend(value, path.substr(name.size() + 1), part, level + 1);
      if (found == pickle::kNothing) return found;
      part.steps.push_back({handle, value, name});
      part.is_training_state |= flattener_.is_training_state(handle) || flattener_.is_training_state(value);
      return found;
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
  std::map<Handle, bool> networks_;            ///< see is_network()
  const Child* only_item_ = nullptr;           ///< the last result of find_network(), if it is not a network
  bool has_known_ = false;
};

}  // namespace

Part select_part(Flattener& flattener, const Tree& tree, std::string_view root) {
  if (root == ".") return {"", tree.graph().root()};
  Selector selector(flattener, tree);
  return root.empty() ? selector.find_model() : selector.find_path(root);
}

void add_unselected(Flattener& flattener, const Part& part) {
  std::string path;
  for (const Part::Step& step : part.steps) {
    if (!flattener.is_module(step.container)) {
      Flattener::Children children = flattener.children_of(step.container);
      const auto taken = std::ranges::find_if(children, [&](const Flattener::Child& child) {
        return child.value == step.child && flattener.name_of(child) == step.name;
      });
      if (taken != children.end()) children.erase(taken);
      flattener.add_unused(path, children);
    }
    path = joined(path, step.name);
  }
}

}  // namespace depickle::torch
