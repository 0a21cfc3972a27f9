#include "depickle/formats/torch/training_state.h"

#include <algorithm>
#include <cctype>

#include "depickle/base/error.h"
#include "depickle/base/text.h"

namespace depickle::torch {
namespace {

using pickle::Handle;
using pickle::kNothing;
using pickle::NodeKind;

constexpr size_t kMaxSlots = 64, kMaxMetrics = 1024, kMaxReadGroups = 16;
constexpr size_t kMaxKeyBytes = 4096, kMaxMetricNameBytes = 128;
constexpr uint64_t kKeyBytesPerStep = 8;

// What optimizers store for a parameter: torch.optim, transformers (Adafactor), timm.
constexpr std::string_view kMoments[] = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "exp_avg_sq_row",
    "exp_avg_sq_col", "momentum_buffer", "square_avg"};
constexpr std::string_view kOtherSlots[] = {"grad_avg", "acc_delta", "prev", "mu_product", "eta", "ax", "sum", "step"};

constexpr std::string_view kMetricWords[] = {"loss", "losses", "acc", "accuracy", "epoch", "epochs", "step", "steps",
    "iter", "iters", "iteration", "iterations", "lr", "psnr", "ssim", "lpips", "fid", "auc", "f1", "recall",
    "perplexity", "ppl", "bleu", "wer", "metric", "metrics", "reward", "mse", "mae", "rmse", "iou", "miou", "top1",
    "top5"};

// An element of TrainingState::marks_ is kMarked plus a Kind, or kMarked plus the components that a key contains.
constexpr uint8_t kMarked = 0x80, kHasState = 1, kHasParamGroups = 2, kHasMoment = 4;

bool is_moment(std::string_view name) { return std::ranges::find(kMoments, name) != std::end(kMoments); }
bool is_slot(std::string_view name) {
  return is_moment(name) || std::ranges::find(kOtherSlots, name) != std::end(kOtherSlots);
}

// The keys of random states: those of the devices in transformers' Trainer, and names such as "torch_rng_state".
bool is_random_name(std::string_view key) {
  constexpr std::string_view kDevices[] = {"cpu", "cuda", "torch", "xpu", "npu", "mps"};
  constexpr std::string_view kParts[] = {"rng", "random", "seed"};
  if (std::ranges::find(kDevices, key) != std::end(kDevices)) return true;
  return key.size() <= kMaxMetricNameBytes &&
         std::ranges::any_of(kParts, [&](std::string_view part) { return key.find(part) != key.npos; });
}

bool is_component(std::string_view key, size_t at, size_t length) {
  return (at == 0 || key[at - 1] == '.') && (at + length == key.size() || key[at + length] == '.');
}

// Calls `visit` with the start of each component `name` of a key, until it returns true.
template <typename Visit>
void for_each_component(std::string_view key, std::string_view name, Visit visit) {
  constexpr int kMaxFound = 8;
  int found = 0;
  for (size_t at = key.find(name); at != key.npos && found < kMaxFound; at = key.find(name, at + 1)) {
    if (!is_component(key, at, name.size())) continue;
    if (name == "state" && at + name.size() == key.size()) continue;  // a value of its own
    ++found;
    if (visit(at)) return;
  }
}

std::string_view before(std::string_view key, size_t at) { return key.substr(0, at == 0 ? 0 : at - 1); }

bool is_numpy_scalar(const pickle::Graph& graph, Handle handle) {
  auto object = graph.object(handle);
  const pickle::Global* global = object ? graph.global(object->callable) : nullptr;
  return global && global->name == "scalar" && global->module.starts_with("numpy.");
}

}  // namespace

bool is_metric_name(std::string_view key) noexcept {
  auto is_word_character = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  if (key.size() > kMaxMetricNameBytes) return false;
  while (!key.empty()) {
    const auto end = std::ranges::find_if_not(key, is_word_character);
    const auto length = static_cast<size_t>(end - key.begin());
    const std::string word = lower_case(key.substr(0, length));
    if (std::ranges::find(kMetricWords, word) != std::end(kMetricWords)) return true;
    key.remove_prefix(std::min(length + 1, key.size()));
  }
  return false;
}

TrainingState::Kind TrainingState::kind(Handle handle) {
  if (tree_.is_leaf(handle)) return Kind::none;
  if (marks_[handle] == 0) {
    marks_[handle] = kMarked;  // a state that contains itself is not training state
    marks_[handle] = static_cast<uint8_t>(kMarked | static_cast<uint8_t>(find_kind(handle)));
  }
  return static_cast<Kind>(marks_[handle] & ~kMarked);
}

TrainingState::Kind TrainingState::find_kind(Handle handle) {
  const pickle::Graph& graph = tree_.graph();
  const std::span<const Handle> pairs = tree_.pairs(handle);
  if (is_state_dict(pairs) || has_only_slots(pairs)) return Kind::optimizer;
  if (has_only_metrics(pairs)) return Kind::metrics;
  if (has_only_random_state(pairs)) return Kind::random;
  const auto object = graph.object(handle);
  if (!object || object->state == kNothing) return Kind::none;
  // torch.optim.Optimizer: the attributes are those of its state_dict().
  auto has_state_dict = [&](Handle state) {
    return graph.kind(state) == NodeKind::dict && kind(state) == Kind::optimizer && is_state_dict(tree_.pairs(state));
  };
  const std::span<const Handle> both = graph.tuple(object->state, 2);  // (dict or None, slots)
  const bool is_optimizer = both.empty() ? has_state_dict(object->state) : std::ranges::any_of(both, has_state_dict);
  return is_optimizer ? Kind::optimizer : Kind::none;
}

bool TrainingState::is_state_dict(std::span<const Handle> pairs) const {
  Handle state = kNothing, groups = kNothing;
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    const auto key = tree_.graph().text(pairs[i]);
    if (key == "base_optimizer_state") return true;  // DeepSpeed's ZeRO, with its partitions of the weights
    if (key == "state") state = pairs[i + 1];
    if (key == "param_groups") groups = pairs[i + 1];
  }
  if (state == kNothing || groups == kNothing || !tree_.is_mapping(state)) return false;
  const NodeKind kind = tree_.graph().kind(groups);
  const std::span<const Handle> listed = tree_.graph().children(groups);
  return (kind == NodeKind::list || kind == NodeKind::tuple) &&
         std::ranges::all_of(listed.first(std::min(listed.size(), kMaxReadGroups)),
             [&](Handle group) { return tree_.is_mapping(group); });
}

bool TrainingState::has_only_slots(std::span<const Handle> pairs) {
  if (pairs.size() > 2 * kMaxSlots) return false;
  bool has_moment = false;
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    if (tree_.is_leaf(pairs[i + 1])) continue;
    const auto key = tree_.graph().text(pairs[i]);
    if (!key || !is_slot(*key) || !rebuilder_.is_tensor(pairs[i + 1])) return false;
    has_moment |= is_moment(*key);
  }
  return has_moment;
}

bool TrainingState::has_only_metrics(std::span<const Handle> pairs) {
  if (pairs.size() > 2 * kMaxMetrics) return false;
  bool has_tensor = false;
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    const Handle value = pairs[i + 1];
    if (tree_.is_leaf(value) || is_numpy_scalar(tree_.graph(), value)) continue;
    const auto key = tree_.graph().text(pairs[i]);
    if (!key || !is_metric_name(*key)) return false;
    const std::optional<Tensor> tensor = tensor_of(value);
    if (!tensor || !tensor->shape.empty()) return false;
    has_tensor = true;
  }
  return has_tensor;
}

// torch.get_rng_state() is a vector of bytes. Trainers store it with Python's and NumPy's states, which are tuples.
bool TrainingState::has_only_random_state(std::span<const Handle> pairs) {
  if (pairs.size() > 2 * kMaxMetrics) return false;
  bool has_tensor = false;
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    const Handle value = pairs[i + 1];
    const auto key = tree_.graph().text(pairs[i]);
    if (!key) return false;
    if (tree_.is_leaf(value) || tree_.graph().kind(value) == NodeKind::tuple) continue;
    if (is_state_dict(tree_.pairs(value))) continue;
    const std::optional<Tensor> tensor = is_random_name(*key) ? tensor_of(value) : std::nullopt;
    if (!tensor || tensor->dtype != Dtype::U8 || tensor->shape.size() != 1) return false;
    has_tensor = true;
  }
  return has_tensor;
}

// Returns nullopt if the value is not a tensor, or a malformed one: Flattener::walk() reports the error.
std::optional<Tensor> TrainingState::tensor_of(Handle handle) {
  try {
    const Rebuilt rebuilt = rebuilder_.rebuild(handle);
    if (rebuilt.kind == RebuiltKind::tensor) return rebuilt.tensor;
  } catch (const Error&) {
  }
  return std::nullopt;
}

uint8_t TrainingState::mark_of_key(Handle key) {
  const auto found = tree_.graph().text(key);
  if (!found) return 0;
  if (marks_[key] != 0) return marks_[key];
  const std::string_view text = found->substr(0, kMaxKeyBytes);
  uint8_t mark = kMarked;
  auto set = [&](std::string_view component, uint8_t bit) {
    for_each_component(text, component, [&](size_t) { return (mark |= bit) != 0; });
  };
  set("state", kHasState);
  set("param_groups", kHasParamGroups);
  if ((mark & kHasState) && is_moment(text.substr(text.rfind('.') + 1))) mark |= kHasMoment;
  return marks_[key] = mark;
}

// Returns every P of which the mapping has keys P.state.… and P.param_groups.…, or a moment in P.state.….
TrainingState::Groups TrainingState::find_groups(
    const Tree::Entries& entries, const std::function<void(uint64_t)>& spend) {
  Groups with_state, with_groups, complete;
  for (const auto& [key, value] : entries) {
    const uint8_t mark = mark_of_key(key);
    if (!(mark & (kHasState | kHasParamGroups))) continue;
    const std::string_view text = tree_.graph().text(key)->substr(0, kMaxKeyBytes);
    spend(text.size() / kKeyBytesPerStep);
    for_each_component(text, "state", [&](size_t at) {
      with_state.insert(before(text, at));
      if (mark & kHasMoment) complete.insert(before(text, at));
      return (mark & kHasMoment) != 0;  // the other components `state` are parts of a parameter's name
    });
    for_each_component(text, "param_groups", [&](size_t at) { return with_groups.insert(before(text, at)), false; });
  }
  std::ranges::set_intersection(with_state, with_groups, std::inserter(complete, complete.end()));
  return complete;
}

std::vector<std::optional<std::string_view>> TrainingState::flat_groups(
    const Tree::Entries& entries, const std::function<void(uint64_t)>& spend) {
  const bool may_have_groups = std::ranges::any_of(
      entries, [&](const auto& entry) { return mark_of_key(entry.first) & (kHasParamGroups | kHasMoment); });
  if (!may_have_groups) return {};
  const Groups groups = find_groups(entries, spend);
  if (groups.empty()) return {};
  std::vector<std::optional<std::string_view>> found(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    if (!(mark_of_key(entries[i].first) & (kHasState | kHasParamGroups))) continue;
    const std::string_view text = tree_.graph().text(entries[i].first)->substr(0, kMaxKeyBytes);
    spend(text.size() / kKeyBytesPerStep);
    auto take = [&](size_t at) {
      const std::string_view group = before(text, at);
      if (!groups.contains(group) || (found[i] && found[i]->size() <= group.size())) return false;
      found[i] = group;
      return true;
    };
    for_each_component(text, "state", take);
    for_each_component(text, "param_groups", take);
  }
  return found;
}

}  // namespace depickle::torch
