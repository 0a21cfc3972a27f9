// Recognizes training state, which is never part of a model. Private to the module.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "depickle/formats/torch/rebuild.h"
#include "depickle/formats/torch/tree.h"

namespace depickle::torch {

/// Returns whether a key has a part that names a metric, such as "loss" in "val_loss".
bool is_metric_name(std::string_view key) noexcept;

/// Finds optimizer state, metrics and the state of random number generators by their structure. docs/formats/torch.md
/// defines both.
class TrainingState {
 public:
  enum class Kind : uint8_t { none, optimizer, metrics, random };

  TrainingState(const Tree& tree, Rebuilder& rebuilder)
      : tree_(tree),
        rebuilder_(rebuilder),
        marks_(tree.graph().nodes()) {}

  /// Returns the kind of a value. Reads each value at most once.
  Kind kind(pickle::Handle handle);
  /// Returns, for each entry of a mapping, the P of its key P.state.… or P.param_groups.…, or nullopt. Returns an empty
  /// vector if the mapping has no such keys. Calls `spend` with the steps that long keys take.
  std::vector<std::optional<std::string_view>> flat_groups(
      const Tree::Entries& entries, const std::function<void(uint64_t)>& spend);

 private:
  using Handle = pickle::Handle;
  using Groups = std::set<std::string_view>;
  Kind find_kind(Handle handle);
  bool is_state_dict(std::span<const Handle> pairs) const;
  bool has_only_slots(std::span<const Handle> pairs);
  bool has_only_metrics(std::span<const Handle> pairs);
  bool has_only_random_state(std::span<const Handle> pairs);
  std::optional<Tensor> tensor_of(Handle handle);
  uint8_t mark_of_key(Handle key);
  Groups find_groups(const Tree::Entries& entries, const std::function<void(uint64_t)>& spend);

  const Tree& tree_;
  Rebuilder& rebuilder_;
  std::vector<uint8_t> marks_;  ///< by handle: the kind of a container, or the components of a key; 0 if not known
};

}  // namespace depickle::torch
