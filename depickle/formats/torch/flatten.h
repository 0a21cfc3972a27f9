// Names the tensors of a graph, as torch's state_dict() does. Private to the module.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "depickle/formats/torch/rebuild.h"
#include "depickle/formats/torch/table.h"
#include "depickle/formats/torch/training_state.h"
#include "depickle/formats/torch/tree.h"

namespace depickle::torch {

/// Finds the tensors in a part of the graph and adds them to the table.
///
/// The work is linear in the graph and the names of the tensors: a value that several paths reach is searched once, and
/// later paths visit only its children with tensors. Throws Error{limit} (TF01) if a pickle still requires more work,
/// as one with 2^n paths to the same tensor does.
class Flattener {
 public:
  /// If `with_parts`, the parts of unsupported tensors are also added.
  Flattener(Contents& contents, Arena& arena, Table& table, uint64_t expand_limit_bytes, bool with_parts);

  /// Adds all tensors below `handle`. Their names are the paths from `handle`, after `prefix`; if it is a tensor
  /// itself, its name is `lone_name`. Adds the largest parts without a tensor to Table::unused.
  void flatten(pickle::Handle handle, std::string_view lone_name, std::string_view prefix = "");

  /// Makes flatten() also add the tensors of training state, which it otherwise adds to Table::unused.
  void keep_training_state() noexcept { keeps_training_state_ = true; }

  /// A value with its key, or with its index if `key` is kNothing.
  struct Child {
    pickle::Handle key;
    pickle::Handle value;
    uint32_t index = 0;
    uint32_t group = kNoGroup;  ///< of the flat keys of one optimizer state; see name_of_group()
  };
  using Children = std::vector<Child>;
  static constexpr uint32_t kNoGroup = 0xffffffff;
  /// Returns the items, attributes and elements of a value.
  Children children_of(pickle::Handle handle);
  /// Returns the key of a child as a part of a name, or its index.
  std::string name_of(const Child& child);

  /// Returns whether the value is a tensor, also an unsupported or a malformed one.
  bool is_tensor(pickle::Handle handle) { return rebuilder_.is_tensor(handle); }
  /// Returns whether the value is a torch.nn.Module, or an object of a class of a TorchScript archive.
  bool is_module(pickle::Handle handle);
  /// Returns whether the value is training state by itself.
  bool is_training_state(pickle::Handle handle) { return training_.kind(handle) != TrainingState::Kind::none; }

  bool is_optimizer_state(pickle::Handle handle) { return training_.kind(handle) == TrainingState::Kind::optimizer; }

  /// Numbers of paths below a value that end at a tensor. Values in a cycle are one value with the paths out of the
  /// cycle. O(nodes) for all calls together.
  struct TensorCounts {
    uint64_t all;
    uint64_t model;            ///< without those in training state
    bool has_optimizer_state;  ///< the value is optimizer state or contains some
  };
  TensorCounts counts_of(pickle::Handle handle);
  uint64_t count_tensors(pickle::Handle handle) { return counts_of(handle).all; }
  uint64_t count_model_tensors(pickle::Handle handle) { return counts_of(handle).model; }
  /// Returns the bytes of the tensors of a model. Each tensor counts once. O(nodes).
  uint64_t count_model_bytes(pickle::Handle handle);

  /// Adds values to Table::unused, unless it is full. The flat keys of one optimizer state are one entry.
  void add_unused(std::string_view path, const Children& children);
  void add_unused(std::string path, pickle::Handle handle);
  bool is_unused_full() const noexcept { return table_.unused.size() >= kMaxUnused; }

 private:
  static constexpr size_t kMaxUnused = 1000;
  static constexpr uint64_t kNameBytesPerStep = 8;
  using Handle = pickle::Handle;
  struct CountFrame;
  struct Counted {
    uint32_t all, model;  ///< see count_tensors.cpp
  };

  // The walk_ functions return the number of tensors found.
  uint64_t walk(Handle handle);
  uint64_t walk_children(Handle handle, bool is_repeated);
  uint64_t walk_child(std::string_view name, const Child& child);
  uint64_t walk_module(const Tree::Entries& state);
  std::optional<uint64_t> walk_script_object(Handle handle, bool is_repeated);
  uint64_t walk_script_module(const ScriptClass& script_class, const Tree::Entries& state);
  uint64_t walk_packed(Handle handle, bool is_repeated);
  const pickle::Global* script_global_of(Handle handle) const;
  bool is_in_state_dict(const ScriptAttribute& attribute, Handle value);
  bool repeats(Handle value, const std::set<Handle>& listed);
  Rebuilt rebuild(Handle handle);
  void add_unregistered(const Tree::Entries& state);
  void add_unregistered(Handle key, Handle value);
  std::optional<Tree::Entries> module_state(Handle handle);
  const Children& repeated_children_of(Handle handle);
  uint64_t count_wanted(Handle handle) {
    return keeps_training_state_ ? count_tensors(handle) : count_model_tensors(handle);
  }
  uint32_t group_id(std::string_view group);
  std::string describe_unused(Handle handle);
  uint64_t take(Rebuilt&& rebuilt);
  void add(Tensor tensor);
  void add_unused(std::string path, std::string description, uint64_t tensors);
  std::string path_to(const std::string& child) const;
  void spend(uint64_t steps);
  CountFrame open_count(Handle handle, bool is_grouped);
  void close_count(const CountFrame& frame, std::vector<Handle>& unassigned);
  void check_names(Handle root);
  void note_collision();

  Contents& contents_;
  Tree tree_;
  Arena& arena_;
  Table& table_;
  Rebuilder rebuilder_;
  TrainingState training_;
  bool with_parts_;
  bool keeps_training_state_ = false;
  bool is_packed_ = false;  ///< in walk_packed()
  std::string path_;
  std::vector<Child> path_keys_;  ///< the keys in path_
  std::string lone_name_;
  std::vector<Handle> ancestors_;
  std::vector<bool> walked_;              ///< by handle
  std::map<Handle, Children> repeated_;   ///< the children of values that were walked before
  std::vector<Counted> counts_;           ///< by handle
  uint32_t opened_ = 0;                   ///< the number of values that counts_of() has visited
  std::vector<std::string_view> groups_;  ///< the paths of optimizer states in flat keys
  std::map<std::string_view, uint32_t> group_ids_;
  bool may_collide_ = false;                   ///< some tensors could have the same name
  std::optional<std::string_view> collision_;  ///< the name of two tensors
  std::string colliding_keys_;                 ///< of the first of them
  uint64_t steps_ = 0, max_steps_;
  bool is_limit_known_ = false;
};

/// A part of a checkpoint.
struct Part {
  /// A value on the way from the root to the part.
  struct Step {
    pickle::Handle container;
    pickle::Handle child;
    std::string name;  ///< of the child in the container
  };
  std::string path;  ///< empty for the whole checkpoint
  pickle::Handle handle;
  std::vector<Step> steps = {};
  bool is_training_state = false;  ///< the part is training state, or inside of it
};

/// Returns the part that contains the model, or the part at path `root` (see weights::OpenOptions). Throws (TF03)
/// Error{not_found} if the path does not exist, Error{unsupported} with a list if several parts could be the model.
Part select_part(Flattener& flattener, const Tree& tree, std::string_view root);

/// Adds the values outside `part` to Table::unused: the optimizer next to the model.
void add_unselected(Flattener& flattener, const Part& part);

}  // namespace depickle::torch
