// Python's view of the graph. Private to the module.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "depickle/formats/pickle/graph.h"

namespace depickle::torch {

/// Mappings, attributes and elements of values.
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
  /// Returns the keys and values that a dict or an object contains as items: key, value, key, value …, with repeated
  /// keys. Empty for other values, and for the items that Python 2 wrote as arguments of OrderedDict. O(1).
  std::span<const pickle::Handle> pairs(pickle::Handle handle) const;
  /// Returns whether the value is a dict or an object like a dict.
  bool is_mapping(pickle::Handle handle) const;
  /// Returns the state of a torch.nn.Module: the dict with its `_parameters` and `_modules`, which BUILD set or which
  /// is an argument of the function that builds the module. nullopt for other values.
  std::optional<Entries> module_state(pickle::Handle handle) const;
  /// Returns a key as a part of a name, as docs/formats/torch.md defines it. Longer texts than any name are cut.
  std::string key_text(pickle::Handle key) const;
  /// Returns a key in Python's notation with its type: `1 (int)`, `"1" (str)`.
  std::string spelled_key(pickle::Handle key) const;
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

}  // namespace depickle::torch
