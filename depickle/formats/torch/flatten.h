// From the graph's root to names: state dicts, modules, nested state. Private to the module.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "depickle/formats/torch/rebuild.h"
#include "depickle/formats/torch/table.h"

namespace depickle::torch {

/// How the graph's values hang together, for those who walk them.
class Tree {
 public:
  explicit Tree(const pickle::Graph& graph) : graph_(graph) {}

  using Entries = std::vector<std::pair<pickle::Handle, pickle::Handle>>;
  /// Keys and values of a dict, an OrderedDict and its like; nullopt for everything else.
  std::optional<Entries> mapping(pickle::Handle handle) const;
  /// Attributes of an object: its state, whichever form a BUILD gave it; empty for a mapping.
  Entries attributes(pickle::Handle handle) const;
  /// Elements of a list, tuple or set, and what an object was given to hold.
  std::vector<pickle::Handle> elements(pickle::Handle handle) const;
  /// A dict key as a name's part: a str as it is, an int in decimal, others as Python shows them.
  std::string key_text(pickle::Handle key) const;
  /// The value of a str key in a mapping or among attributes; kNothing where there is none.
  pickle::Handle find(const Entries& entries, std::string_view key) const;
  const pickle::Graph& graph() const noexcept { return graph_; }

 private:
  const pickle::Graph& graph_;
};

/// Walks a part of the graph and fills the table with its tensors.
class Flattener {
 public:
  /// With `everything`, the parts of unsupported tensors get names too.
  Flattener(Contents& contents, Arena& arena, Table& table, uint64_t expand_limit_bytes, bool everything);

  /// Tensors under `handle`, named from it on; a bare tensor is called `lone_name`. What holds none goes to the unused.
  void flatten(pickle::Handle handle, std::string_view lone_name);

  /// Whether a node is a tensor of any kind, and whether there is one below it.
  bool is_tensor(pickle::Handle handle);
  uint64_t count_tensors(pickle::Handle handle);

 private:
  using Handle = pickle::Handle;
  struct Child {
    std::string name;
    Handle value;
  };

  /// Returns the number of tensors found.
  uint64_t walk(Handle handle);
  uint64_t walk_children(const std::vector<Child>& children);
  uint64_t walk_child(std::string_view name, Handle value);
  uint64_t walk_module(const Tree::Entries& state);
  void note_unregistered(const Tree::Entries& state);
  std::vector<Child> children_of(Handle handle) const;
  uint64_t take(Rebuilt&& rebuilt);
  void add(Tensor tensor);
  void left(std::string path, Handle handle);
  std::string path_to(const std::string& child) const;

  Contents& contents_;
  Tree tree_;
  Arena& arena_;
  Table& table_;
  Rebuilder rebuilder_;
  bool everything_;
  std::string path_;
  size_t path_names_ = 0;  ///< keys in path_, which may be empty ones
  std::string lone_name_;
  std::vector<Handle> ancestors_;
  uint64_t visits_ = 0;
};

/// The part of a checkpoint that holds the model's weights.
struct Part {
  std::string path;  ///< empty for the whole
  pickle::Handle handle;
};
/// `root` as OpenOptions has it. Throws Error{not_found} for a path that is not there, Error{unsupported} where several parts
/// could be the model, listing them.
Part select_part(Flattener& flattener, const Tree& tree, std::string_view root);
/// Everything on the way to `part` that is not `part`: the optimizer beside the model.
void list_what_is_beside(Flattener& flattener, const Tree& tree, const Part& part, std::vector<Unused>& unused);

}  // namespace depickle::torch
