// The classes of a TorchScript archive, read from the text in its code/ folder. Nothing is compiled or executed.
//
//   class Linear(Module):                       ◄── code/__torch__/torch/nn/modules/linear.py
//     __parameters__ = ["weight", "bias", ]
//     __buffers__ = []
//     weight : Tensor
//     bias : Tensor
//     training : bool
//     def forward(self: …
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/arena.h"
#include "depickle/formats/pickle/graph.h"
#include "depickle/formats/zip/archive.h"

namespace depickle::torch {

/// An attribute that state_dict() visits.
struct ScriptAttribute {
  /// In the order of state_dict().
  enum class Role : uint8_t { parameter, buffer, module };

  std::string_view name;
  uint32_t position;  ///< in the class: the order of attributes with the same role
  Role role;
};

/// A class statement.
struct ScriptClass {
  bool is_module = false;
  /// The state in the pickle is the argument of the class's `__setstate__`, not its attributes.
  bool has_set_state = false;
  std::vector<ScriptAttribute> attributes;  ///< sorted by name

  /// Returns nullptr if state_dict() does not visit the attribute. O(log n).
  const ScriptAttribute* find(std::string_view attribute) const noexcept;
};

/// Reads the statements of the classes with these names. Text that torch does not write is skipped; a class that is
/// defined twice or whose lists cannot be read is not in the result. O(n log n) for n bytes. The names of the
/// attributes are copied into `arena`; the keys of the result are elements of `names`.
std::map<std::string_view, ScriptClass> read_script_classes(
    std::string_view text, std::span<const std::string_view> names, Arena& arena);

/// The classes that a pickle names, by their global in the graph.
struct ScriptClasses {
  std::map<const pickle::Global*, ScriptClass> by_global;
  std::string note;  ///< about the classes that could not be read; may be empty

  /// Returns nullptr if the class is unknown.
  const ScriptClass* find(const pickle::Global* global) const noexcept;
};

/// Reads the classes that a graph names from `root`/code/ of an archive, at most 64 MiB of text. Classes in records
/// that are missing, corrupt or too large are not in the result.
ScriptClasses read_script_classes(
    const zip::Archive& archive, std::string_view root, const pickle::Graph& graph, Arena& arena);

/// Returns whether a global is a class of TorchScript, compiled or built in.
bool is_script_class(const pickle::Global& global) noexcept;
/// Returns whether a global is a class built into torch, which stores packed weights and has no statement in code/.
bool is_packed_class(const pickle::Global& global) noexcept;

}  // namespace depickle::torch
