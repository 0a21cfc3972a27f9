#include "depickle/formats/pickle/graph.h"

#include <algorithm>
#include <tuple>

namespace depickle::pickle {

Handle Graph::add(Node node) {
  if (count_ % kBlockNodes == 0)
    blocks_.push_back(arena_.make<Node>(kBlockNodes).data());  // a page takes memory when it is first written
  blocks_[count_ / kBlockNodes][count_ % kBlockNodes] = node;
  return count_++;
}

Graph::Extra& Graph::extra(Node& object) {
  if (object.value.object.extra == kNothing) {
    object.value.object.extra = static_cast<uint32_t>(extras_.size());
    extras_.emplace_back();
  }
  return extras_[object.value.object.extra];
}

std::optional<int64_t> Graph::integer(Handle handle) const noexcept {
  const Node& at = node(handle);
  if (at.kind != NodeKind::integer && at.kind != NodeKind::boolean) return std::nullopt;
  return at.value.integer;
}

std::optional<double> Graph::real(Handle handle) const noexcept {
  const Node& at = node(handle);
  if (at.kind != NodeKind::real) return std::nullopt;
  return at.value.real;
}

std::optional<std::string_view> Graph::text(Handle handle) const noexcept {
  const Node& at = node(handle);
  if (at.kind != NodeKind::text) return std::nullopt;
  return std::string_view(at.value.characters, at.a);
}

std::optional<Bytes> Graph::bytes(Handle handle) const noexcept {
  const Node& at = node(handle);
  if (at.kind != NodeKind::bytes && at.kind != NodeKind::big_integer) return std::nullopt;
  return blobs_[at.a];
}

std::span<const Handle> Graph::children(Handle handle) const noexcept {
  const Node& at = node(handle);
  switch (at.kind) {
    case NodeKind::tuple: return {at.value.elements, at.a};
    case NodeKind::list:
    case NodeKind::dict:
    case NodeKind::set: return at.a == kNothing ? std::span<const Handle>() : containers_[at.a];
    default: return {};
  }
}

std::span<const Handle> Graph::tuple(Handle handle, size_t count) const noexcept {
  const Node& at = node(handle);
  if (at.kind != NodeKind::tuple || at.a != count) return {};
  return {at.value.elements, at.a};
}

const Global* Graph::global(Handle handle) const noexcept {
  const Node& at = node(handle);
  return at.kind == NodeKind::global ? &globals_[at.a] : nullptr;
}

bool Graph::is_global(Handle handle, std::string_view module, std::string_view name) const noexcept {
  const Global* found = global(handle);
  return found && found->module == module && found->name == name;
}

std::optional<Object> Graph::object(Handle handle) const noexcept {
  const Node& at = node(handle);
  if (at.kind != NodeKind::object) return std::nullopt;
  Object object{.made_by = at.made_by, .callable = at.a, .args = at.value.object.args, .items = {}, .pairs = {}};
  if (at.value.object.extra != kNothing) {
    const Extra& extra = extras_[at.value.object.extra];
    object.kwargs = extra.kwargs;
    object.state = extra.state;
    object.items = extra.items;
    object.pairs = extra.pairs;
  }
  return object;
}

std::vector<std::pair<Handle, Handle>> Graph::entries(std::span<const Handle> pairs) const {
  std::vector<std::pair<Handle, Handle>> all;
  all.reserve(pairs.size() / 2);
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) all.emplace_back(pairs[i], pairs[i + 1]);

  // Sorted and not hashed, because a file could choose keys that collide. The keys are copied into one array first,
  // because the nodes are far apart in memory.
  struct Key {
    bool is_text;
    std::string_view text;
    int64_t integer;
    uint32_t index;
    bool same(const Key& other) const {
      return is_text == other.is_text && integer == other.integer && text == other.text;
    }
  };
  std::vector<Key> keys;
  keys.reserve(all.size());
  for (uint32_t i = 0; i < all.size(); ++i) {
    auto key_text = text(all[i].first);
    auto key_integer = integer(all[i].first);
    if (key_text || key_integer)
      keys.push_back({key_text.has_value(), key_text.value_or(std::string_view()), key_integer.value_or(0), i});
  }
  std::ranges::sort(keys, {}, [](const Key& key) { return std::tie(key.is_text, key.text, key.integer, key.index); });
  bool repeated = false;
  for (size_t i = 0; i < keys.size();) {
    size_t last = i;
    while (last + 1 < keys.size() && keys[i].same(keys[last + 1])) ++last;
    if (last > i) {
      repeated = true;
      all[keys[i].index].second = all[keys[last].index].second;
      for (size_t j = i + 1; j <= last; ++j) all[keys[j].index].first = kNothing;
    }
    i = last + 1;
  }
  if (repeated) std::erase_if(all, [](const auto& entry) { return entry.first == kNothing; });
  return all;
}

}  // namespace depickle::pickle
