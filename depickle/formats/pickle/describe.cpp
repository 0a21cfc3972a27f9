#include "depickle/formats/pickle/describe.h"

#include <fmt/format.h>

#include "depickle/base/text.h"

namespace depickle::pickle {
namespace {

constexpr size_t kMaxShown = 4;

std::string value_text(const Graph& graph, Handle handle, int depth);

std::string joined(const Graph& graph, std::span<const Handle> items, int depth) {
  std::string out;
  for (size_t i = 0; i < items.size() && i < kMaxShown; ++i)
    out += (i ? ", " : "") + value_text(graph, items[i], depth);
  if (items.size() > kMaxShown) out += fmt::format(", … {} more", items.size() - kMaxShown);
  return out;
}

// In Python's notation, shortened.
std::string value_text(const Graph& graph, Handle handle, int depth) {
  switch (graph.kind(handle)) {
    case NodeKind::none: return "None";
    case NodeKind::boolean: return graph.integer(handle) == 1 ? "True" : "False";
    case NodeKind::integer: return fmt::format("{}", *graph.integer(handle));
    case NodeKind::big_integer: return "a large int";
    case NodeKind::real: return fmt::format("{}", *graph.real(handle));
    case NodeKind::text: return quoted(*graph.text(handle), 160);
    case NodeKind::bytes: return "b" + quoted(text(*graph.bytes(handle)), 80);
    case NodeKind::global: return dotted(*graph.global(handle));
    case NodeKind::persistent:
      return depth > 0 ? fmt::format("persistent id {}", value_text(graph, graph.persistent_id(handle), depth - 1))
                       : "a persistent id";
    case NodeKind::extension: return fmt::format("extension {}", graph.extension_code(handle));
    case NodeKind::object: return depth > 0 ? call_text(graph, handle, depth - 1) : "…";
    default: break;
  }
  std::span<const Handle> items = graph.children(handle);
  if (depth == 0 || graph.kind(handle) == NodeKind::dict) return describe(graph, handle);
  std::string inside = joined(graph, items, depth - 1);
  if (graph.kind(handle) == NodeKind::list) return "[" + inside + "]";
  if (graph.kind(handle) == NodeKind::set) return "{" + inside + "}";
  return "(" + inside + (items.size() == 1 ? ",)" : ")");
}

}  // namespace

const Global* called_global(const Graph& graph, Handle callable) {
  if (graph.kind(callable) == NodeKind::persistent) {
    std::span<const Handle> id = graph.tuple(graph.persistent_id(callable), 4);
    if (!id.empty() && graph.text(id[0]) == "module") callable = id[1];
  }
  return graph.global(callable);
}

std::string dotted(const Global& global) {
  return fmt::format("{}.{}", printable(global.module, 80), printable(global.name, 80));
}

std::string describe(const Graph& graph, Handle handle) {
  auto counted = [&](std::string_view kind, size_t count) {
    return fmt::format("{}, {}", kind, plural(count, "item"));
  };
  size_t children = graph.children(handle).size();
  switch (graph.kind(handle)) {
    case NodeKind::boolean: return "bool " + value_text(graph, handle, 0);
    case NodeKind::integer: return "int " + value_text(graph, handle, 0);
    case NodeKind::real: return "float " + value_text(graph, handle, 0);
    case NodeKind::text: return "str " + quoted(*graph.text(handle), 60);
    case NodeKind::bytes: return plural(graph.bytes(handle)->size(), "byte");
    case NodeKind::list: return counted("list", children);
    case NodeKind::tuple: return counted("tuple", children);
    case NodeKind::set: return counted("set", children);
    case NodeKind::dict: return counted("dict", children / 2);
    case NodeKind::object: {
      const Global* global = called_global(graph, graph.object(handle)->callable);
      return global ? "object " + dotted(*global) : "object of a computed class";
    }
    case NodeKind::global: return "name " + dotted(*graph.global(handle));
    default: return value_text(graph, handle, 0);
  }
}

std::string call_text(const Graph& graph, Handle handle, int depth) {
  auto object = graph.object(handle);
  if (!object) return value_text(graph, handle, depth);
  const Global* global = called_global(graph, object->callable);
  std::string callable = global ? dotted(*global) : value_text(graph, object->callable, depth);
  return fmt::format("{}({})", callable, joined(graph, graph.children(object->args), depth));
}

}  // namespace depickle::pickle
