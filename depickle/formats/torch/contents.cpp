#include "depickle/formats/torch/contents.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/describe.h"
#include "depickle/formats/detect/file_kind.h"
#include "depickle/formats/pickle/parse.h"

namespace depickle::torch {
namespace {

using pickle::Graph;
using pickle::Handle;

// A str, a Python 2 str or a bytes: the strings in an id can be each of them.
std::optional<std::string_view> read_string(const Graph& graph, Handle handle) {
  if (auto found = graph.text(handle)) return found;
  if (auto found = graph.bytes(handle); found && graph.kind(handle) == pickle::NodeKind::bytes) return text(*found);
  return std::nullopt;
}

uint64_t read_count(const Graph& graph, Handle handle, std::string_view what) {
  auto value = graph.integer(handle);
  if (!value || *value < 0 || *value > (int64_t{1} << 62))
    fail("TS01", fmt::format("a storage's {} is not a count", what));
  return static_cast<uint64_t>(*value);
}

std::string_view read_key(const Graph& graph, Handle handle) {
  auto key = read_string(graph, handle);
  bool valid = key && !key->empty() && key->size() <= 64 && std::ranges::all_of(*key, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
           c == '-';
  });
  if (!valid) fail("TS01", "a storage's key is not 1 to 64 letters, digits, _, . or -");
  return *key;
}

}  // namespace

const StorageView* Contents::find_view(Handle persistent) const noexcept {
  auto found = std::ranges::lower_bound(views, persistent, {}, &std::pair<Handle, StorageView>::first);
  return found != views.end() && found->first == persistent ? &found->second : nullptr;
}

std::optional<PersistentId> read_persistent_id(const Graph& graph, Handle persistent) {
  Handle id_handle = graph.persistent_id(persistent);
  std::span<const Handle> id = graph.children(id_handle);
  if (graph.kind(id_handle) != pickle::NodeKind::tuple || id.empty()) fail("TS01", "a persistent id is not a tuple");
  auto kind = read_string(graph, id[0]);
  if (!kind) fail("TS01", "the first element of a persistent id is not a str");
  if (*kind != "storage") return std::nullopt;
  if (id.size() != 5 && id.size() != 6)
    fail("TS01", fmt::format("a storage's persistent id has {} elements (expected 5 or 6)", id.size()));

  const pickle::Global* storage_class = graph.global(id[1]);
  if (!storage_class) fail("TS01", "a storage's class is not a global");
  const ElementType* element = find_storage_class(storage_class->name);
  if (!element || !(storage_class->module == "torch" || storage_class->module.starts_with("torch.")))
    throw Error(Code::unsupported, "TS01",
        fmt::format("unknown storage class {}.{}", printable(storage_class->module), printable(storage_class->name)));
  PersistentId found{.element = element,
      .key = read_key(graph, id[2]),
      .location = read_string(graph, id[3]).value_or("cpu"),
      .numel = read_count(graph, id[4], "numel"),
      .view = {}};
  if (id.size() == 6 && graph.kind(id[5]) != pickle::NodeKind::none) {
    std::span<const Handle> view = graph.tuple(id[5], 3);
    if (view.empty()) fail("TS01", "a storage's view is not a tuple of 3 elements");
    found.view = {
        read_key(graph, view[0]), read_count(graph, view[1], "view offset"), read_count(graph, view[2], "view numel")};
  }
  return found;
}

void StorageKeys::check(
    const Storage& storage, const ElementType* known, uint64_t size_bytes, const ElementType* element) {
  if (size_bytes == 0) return;
  if (known != element)
    fail("TS02", fmt::format("storage {} has two types, {} and {}", quoted(storage.key), known->name, element->name));
  if (storage.size_bytes != size_bytes)
    fail("TS02", fmt::format("storage {} has {} bytes (the pickle declares {})", quoted(storage.key),
                     grouped(storage.size_bytes), grouped(size_bytes)));
}

Contents read_contents(std::shared_ptr<const ByteSource> source) {
  using detect::FileKind;
  switch (detect::file_kind(*source)) {
    case FileKind::zip: return read_zip(std::move(source));
    case FileKind::torch_legacy: return read_legacy(std::move(source));
    case FileKind::tar: return read_tar(std::move(source));
    case FileKind::pickle:
    case FileKind::plain_pickle: return read_bare_pickle(std::move(source));
    default: throw detect::not_a_model(*source);
  }
}

Contents read_bare_pickle(std::shared_ptr<const ByteSource> source) {
  Contents contents;
  contents.kind = detect::FileKind::pickle;
  pickle::Pickle parsed = pickle::parse(source->all());
  if (uint64_t rest = source->size_bytes() - parsed.end_bytes; rest > 0)
    contents.notes.push_back(fmt::format("{} after the end of the pickle", plural(rest, "byte")));
  contents.graph = std::move(parsed.graph);
  contents.stream = std::move(source);
  return contents;
}

}  // namespace depickle::torch
