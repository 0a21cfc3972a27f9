// Graphs as text, for tests.
#pragma once

#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/formats/pickle/parse.h"

namespace depickle::pickle {

/// Prints values in a notation like Python's: `os.system('id')`, `pid(…)`, `ext(…)`. `@` precedes an object's state,
/// `+` its items. A value inside itself is `...`.
class Printer {
 public:
  explicit Printer(const Graph& graph) : graph_(graph) {}

  std::string text(Handle handle) {
    if (std::ranges::find(inside_, handle) != inside_.end()) return "...";
    inside_.push_back(handle);
    std::string out = value(handle);
    inside_.pop_back();
    return out;
  }

 private:
  std::string value(Handle handle) {
    switch (graph_.kind(handle)) {
      case NodeKind::none: return "None";
      case NodeKind::boolean: return graph_.integer(handle) == 1 ? "True" : "False";
      case NodeKind::integer: return std::to_string(*graph_.integer(handle));
      case NodeKind::big_integer: return "big(" + hex(*graph_.bytes(handle)) + ")";
      case NodeKind::real: return (std::ostringstream() << *graph_.real(handle)).str();
      case NodeKind::text: return "'" + std::string(*graph_.text(handle)) + "'";
      case NodeKind::bytes: return "b'" + std::string(depickle::text(*graph_.bytes(handle))) + "'";
      case NodeKind::list: return "[" + joined(graph_.children(handle)) + "]";
      case NodeKind::tuple: return "(" + joined(graph_.children(handle)) + ")";
      case NodeKind::set: return "set(" + joined(graph_.children(handle)) + ")";
      case NodeKind::dict: return "{" + paired(graph_.children(handle)) + "}";
      case NodeKind::global:
        return std::string(graph_.global(handle)->module) + "." + std::string(graph_.global(handle)->name);
      case NodeKind::persistent: return "pid(" + text(graph_.persistent_id(handle)) + ")";
      case NodeKind::extension: return "ext(" + std::to_string(graph_.extension_code(handle)) + ")";
      case NodeKind::object: return object(*graph_.object(handle));
    }
    return "?";
  }

  std::string object(const Object& object) {
    std::string out =
        text(object.callable) +
        (graph_.kind(object.args) == NodeKind::tuple ? text(object.args) : "(*" + text(object.args) + ")");
    if (object.kwargs != kNothing) out += "**" + text(object.kwargs);
    if (object.state != kNothing) out += "@" + text(object.state);
    if (!object.items.empty()) out += "+[" + joined(object.items) + "]";
    if (!object.pairs.empty()) out += "+{" + paired(object.pairs) + "}";
    return out;
  }

  std::string joined(std::span<const Handle> items) {
    std::string out;
    for (Handle item : items) out += (out.empty() ? "" : ", ") + text(item);
    return out;
  }

  std::string paired(std::span<const Handle> pairs) {
    std::string out;
    for (size_t i = 0; i + 1 < pairs.size(); i += 2)
      out += (out.empty() ? "" : ", ") + text(pairs[i]) + ": " + text(pairs[i + 1]);
    return out;
  }

  static std::string hex(Bytes bytes) {
    std::ostringstream out;
    for (std::byte byte : bytes)
      out << "0123456789abcdef"[std::to_integer<int>(byte) >> 4] << "0123456789abcdef"[std::to_integer<int>(byte) & 15];
    return out.str();
  }

  const Graph& graph_;
  std::vector<Handle> inside_;
};

/// Returns the value of the pickle as text.
inline std::string printed(std::string_view stream, const ParseLimits& limits = {}) {
  Pickle parsed = parse(bytes(stream), 0, limits);
  return Printer(parsed.graph).text(parsed.graph.root());
}

/// Returns the text of the error, or "accepted: " and the value.
inline std::string refusal(std::string_view stream, const ParseLimits& limits = {}) {
  try {
    return "accepted: " + printed(stream, limits);
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace depickle::pickle
