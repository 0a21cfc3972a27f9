// Pickles for tests, and graphs as text.
#pragma once

#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/formats/pickle/parse.h"

namespace depickle::pickle {

/// Prints values about as Python does: `os.system('id')`, `pid(…)`, `ext(…)`; an object's state follows `@`, its items `+`.
/// A value inside itself is `...`.
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
      case Kind::none: return "None";
      case Kind::boolean: return graph_.integer(handle) == 1 ? "True" : "False";
      case Kind::integer: return std::to_string(*graph_.integer(handle));
      case Kind::big_integer: return "big(" + hex(*graph_.bytes(handle)) + ")";
      case Kind::real: return (std::ostringstream() << *graph_.real(handle)).str();
      case Kind::text: return "'" + std::string(*graph_.text(handle)) + "'";
      case Kind::bytes: return "b'" + std::string(depickle::text(*graph_.bytes(handle))) + "'";
      case Kind::list: return "[" + joined(graph_.children(handle)) + "]";
      case Kind::tuple: return "(" + joined(graph_.children(handle)) + ")";
      case Kind::set: return "set(" + joined(graph_.children(handle)) + ")";
      case Kind::dict: return "{" + paired(graph_.children(handle)) + "}";
      case Kind::global:
        return std::string(graph_.global(handle)->module) + "." + std::string(graph_.global(handle)->name);
      case Kind::persistent: return "pid(" + text(graph_.persistent_id(handle)) + ")";
      case Kind::extension: return "ext(" + std::to_string(graph_.extension_code(handle)) + ")";
      case Kind::object: return object(*graph_.object(handle));
    }
    return "?";
  }

  std::string object(const Object& object) {
    std::string out = text(object.callable) +
                      (graph_.kind(object.args) == Kind::tuple ? text(object.args) : "(*" + text(object.args) + ")");
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

/// What the pickle of these bytes says.
inline std::string printed(std::string_view stream, const Limits& limits = {}) {
  Pickle parsed = parse(bytes(stream), 0, limits);
  return Printer(parsed.graph).text(parsed.graph.root());
}

/// The text of the error that it ends with.
inline std::string refusal(std::string_view stream, const Limits& limits = {}) {
  try {
    return "accepted: " + printed(stream, limits);
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace depickle::pickle
