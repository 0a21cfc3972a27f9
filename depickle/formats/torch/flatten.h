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

namespace depickle::torch {

/// Python's view of the graph: mappings, attributes, elements.
class Tree {
 public:
  explicit Tree(const pickle::Graph& graph) : graph_(graph) {}

  using Entries = std::vector<std::pair<pickle::Handle, pickle::Handle>>;
  /// Returns the keys and values of a dict or an object like a dict (OrderedDict); nullopt for other values.
  std::optional<Entries> mapping(pickle::Handle handle) const;
  /// Returns the attributes of an object: the state that BUILD set, in each of its forms. Empty for other values.
  Entries attributes(pickle::Handle handle) const;
  /// Returns the elements of a list, tuple or set; of an object: items, arguments and a state that is not a dict.
  std::vector<pickle::Handle> elements(pickle::Handle handle) const;
  /// Returns a key as a part of a name: a str unchanged, an int in decimal, other values in Python's notation.
  std::string key_text(pickle::Handle key) const;
  /// Returns the value of a str key; kNothing if the key does not exist.
  pickle::Handle find(const Entries& entries, std::string_view key) const;
  /// Returns how many handles mapping(), attributes() and elements() read for this value. Takes as many steps.
  uint64_t count_handles(pickle::Handle handle) const;
  /// Returns whether the value is of a type that contains no other values, such as an int.
  bool is_leaf(pickle::Handle handle) const noexcept;
  const pickle::Graph& graph() const noexcept { return graph_; }

 private:
  const pickle::Graph& graph_;
};

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

  /// Returns whether the value is a tensor, also an unsupported or a malformed one.
  bool is_tensor(pickle::Handle handle);
  /// Returns the number of paths below `handle` that end at a tensor. Values in a cycle are one value with the paths
  /// out of the cycle. O(nodes) for all calls together.
  uint64_t count_tensors(pickle::Handle handle);
  /// Adds a value to Table::unused, unless it is full.
  void add_unused(std::string path, pickle::Handle handle);
  bool is_unused_full() const noexcept { return table_.unused.size() >= kMaxUnused; }

 private:
  static constexpr size_t kMaxUnused = 1000;
  static constexpr uint64_t kNameBytesPerStep = 8;
  using Handle = pickle::Handle;
  /// A value with its key, or with its index if `key` is kNothing.
  struct Child {
    Handle key;
    uint64_t index;
    Handle value;
  };
  using Children = std::vector<Child>;
  struct CountFrame;

  // The walk_ functions return the number of tensors found.
  uint64_t walk(Handle handle);
  uint64_t walk_children(Handle handle, bool is_repeated);
  uint64_t walk_child(std::string_view name, Handle value);
  uint64_t walk_module(const Tree::Entries& state);
  std::optional<uint64_t> walk_script_object(Handle handle, const Tree::Entries& state, bool is_repeated);
  uint64_t walk_script_module(const ScriptClass& script_class, const Tree::Entries& state);
  uint64_t walk_packed(Handle handle, bool is_repeated);
  const pickle::Global* script_global_of(Handle handle) const;
  bool is_in_state_dict(const ScriptAttribute& attribute, Handle value);
  bool repeats(Handle value, const std::set<Handle>& listed);
  Rebuilt rebuild(Handle handle);
  void add_unregistered(const Tree::Entries& state);
  void add_unregistered(Handle key, Handle value);
  Children children_of(Handle handle);
  Tree::Entries attributes_of(Handle handle);
  const Children& repeated_children_of(Handle handle);
  std::string name_of(const Child& child);
  uint64_t take(Rebuilt&& rebuilt);
  void add(Tensor tensor);
  void add_unused(std::string path, std::string description, uint64_t tensors);
  std::string path_to(const std::string& child) const;
  void spend(uint64_t steps);
  CountFrame open_count(Handle handle);
  void close_count(const CountFrame& frame, std::vector<Handle>& unassigned);

  Contents& contents_;
  Tree tree_;
  Arena& arena_;
  Table& table_;
  Rebuilder rebuilder_;
  bool with_parts_;
  bool is_packed_ = false;  ///< in walk_packed()
  std::string path_;
  size_t path_names_ = 0;  ///< the number of keys in path_, because keys may be empty
  std::string lone_name_;
  std::vector<Handle> ancestors_;
  std::vector<bool> walked_;             ///< by handle
  std::map<Handle, Children> repeated_;  ///< the children of values that were walked before
  std::vector<uint32_t> counts_;         ///< by handle: see count_tensors()
  uint32_t opened_ = 0;                  ///< the number of values that count_tensors() has visited
  uint64_t steps_ = 0, max_steps_;
  bool is_limit_known_ = false;
};

/// A part of a checkpoint.
struct Part {
  std::string path;  ///< empty for the whole checkpoint
  pickle::Handle handle;
};

/// Returns the part that contains the model, or the part at path `root` (see weights::OpenOptions). Throws (TF03)
/// Error{not_found} if the path does not exist, Error{unsupported} with a list if several parts could be the model.
Part select_part(Flattener& flattener, const Tree& tree, std::string_view root);

/// Adds the values outside `part` to Table::unused: the optimizer next to the model.
void add_unselected(Flattener& flattener, const Tree& tree, const Part& part);

}  // namespace depickle::torch
