// Creates values, and adds items and state to them.
#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/formats/pickle/machine.h"

namespace depickle::pickle {
namespace {

constexpr uint64_t kMaxIntegerBytes = 1024;

std::string_view type_name(NodeKind kind) {
  switch (kind) {
    case NodeKind::none: return "None";
    case NodeKind::boolean: return "a bool";
    case NodeKind::integer:
    case NodeKind::big_integer: return "an int";
    case NodeKind::real: return "a float";
    case NodeKind::text: return "a str";
    case NodeKind::bytes: return "bytes";
    case NodeKind::list: return "a list";
    case NodeKind::tuple: return "a tuple";
    case NodeKind::dict: return "a dict";
    case NodeKind::set: return "a set";
    case NodeKind::global: return "a global";
    case NodeKind::object: return "an object";
    case NodeKind::persistent: return "a persistent id";
    case NodeKind::extension: return "an extension";
  }
  return "?";
}

}  // namespace

Handle Machine::make_real(double value) { return make({.kind = NodeKind::real, .value = {.real = value}}); }

Handle Machine::make_big_integer(Bytes representation) {
  check_limit(representation.size() - 1, kMaxIntegerBytes, "bytes in one int");
  graph_.blobs_.push_back(representation);
  return make(
      {.kind = NodeKind::big_integer, .made_by = opcode_, .a = static_cast<uint32_t>(graph_.blobs_.size() - 1)});
}

// PK05: as Python's decoder, accepts UTF-8 and lone surrogates.
Handle Machine::make_unicode(Bytes utf8) {
  if (is_utf8(text(utf8))) return make_text(utf8);
  for (std::string_view rest = text(utf8); !rest.empty();) {
    size_t length = utf8_sequence(rest);
    bool surrogate =
        length == 0 && rest.size() >= 3 && rest[0] == '\xed' && (rest[1] & 0xe0) == 0xa0 && (rest[2] & 0xc0) == 0x80;
    if (length == 0 && !surrogate) fail("PK05", fmt::format("{} is not UTF-8", quoted(text(utf8), 60)));
    rest.remove_prefix(surrogate ? 3 : length);
  }
  return make_text(utf8);
}

Handle Machine::make_text(Bytes utf8) {
  return make({.kind = NodeKind::text,
      .a = static_cast<uint32_t>(utf8.size()),
      .value = {.characters = reinterpret_cast<const char*>(utf8.data())}});
}

Handle Machine::make_decoded_text(const std::string& text) {
  std::string_view kept = graph_.arena_.copy(text);
  return make_text(bytes(kept));
}

Handle Machine::make_bytes(Bytes bytes) {
  graph_.blobs_.push_back(bytes);
  return make({.kind = NodeKind::bytes, .made_by = opcode_, .a = static_cast<uint32_t>(graph_.blobs_.size() - 1)});
}

Handle Machine::make_tuple(std::span<const Handle> items) {
  if (items.empty()) return kEmptyTuple;
  return make({.kind = NodeKind::tuple,
      .a = static_cast<uint32_t>(items.size()),
      .value = {.elements = graph_.arena_.copy(items).data()}});
}

Handle Machine::make_container(NodeKind kind, std::span<const Handle> items) {
  if (kind == NodeKind::dict && items.size() % 2 != 0) fail("PK06", "a key has no value");
  Handle handle = make({.kind = kind, .made_by = opcode_, .a = kNothing});
  if (!items.empty()) container(handle).assign(items.begin(), items.end());
  return handle;
}

Handle Machine::make_global(std::string_view module, std::string_view name) {
  auto [found, is_new] =
      graph_.global_index_.try_emplace({module, name}, static_cast<uint32_t>(graph_.globals_.size()));
  if (is_new) graph_.globals_.push_back({.module = module, .name = name, .count = 0, .offset_bytes = opcode_offset_});
  ++graph_.globals_[found->second].count;
  return make({.kind = NodeKind::global, .a = found->second});
}

Handle Machine::make_object(Handle callable, Handle args, Handle kwargs) {
  Node node{.kind = NodeKind::object, .made_by = opcode_, .a = callable, .value = {.object = {args, kNothing}}};
  if (kwargs != kNothing) graph_.extra(node).kwargs = kwargs;
  Handle handle = make(node);
  log(handle);
  return handle;
}

void Machine::push_persistent(Handle id) {
  Handle handle = make({.kind = NodeKind::persistent, .a = id});
  log(handle);
  push(handle);
}

void Machine::push_extension(int64_t code) {
  Handle handle = make({.kind = NodeKind::extension, .value = {.integer = code}});
  log(handle);
  push(handle);
}

void Machine::log(Handle node) {
  graph_.events_.push_back({.offset_bytes = opcode_offset_ & ((uint64_t{1} << 56) - 1),
      .op_byte = static_cast<uint8_t>(opcode_),
      .node = node});
}

std::vector<Handle>& Machine::container(Handle handle) {
  Node& node = graph_.node(handle);
  if (node.a == kNothing) {
    node.a = static_cast<uint32_t>(graph_.containers_.size());
    graph_.containers_.emplace_back();
  }
  return graph_.containers_[node.a];
}

void Machine::append(std::span<const Handle> items, Handle target) {
  NodeKind kind = graph_.kind(target);
  if (kind != NodeKind::list && kind != NodeKind::object)
    fail("PK06", fmt::format("cannot append to {}", type_name(kind)));
  if (items.empty()) return;
  std::vector<Handle>& into = kind == NodeKind::list ? container(target) : graph_.extra(graph_.node(target)).items;
  into.insert(into.end(), items.begin(), items.end());
}

void Machine::set_items(std::span<const Handle> pairs, Handle target) {
  NodeKind kind = graph_.kind(target);
  if (kind != NodeKind::dict && kind != NodeKind::object)
    fail("PK06", fmt::format("cannot set an item of {}", type_name(kind)));
  if (pairs.size() % 2 != 0) fail("PK06", "a key has no value");
  if (pairs.empty()) return;
  std::vector<Handle>& into = kind == NodeKind::dict ? container(target) : graph_.extra(graph_.node(target)).pairs;
  into.insert(into.end(), pairs.begin(), pairs.end());
}

void Machine::add_items(std::span<const Handle> items, Handle target) {
  NodeKind kind = graph_.kind(target);
  if (kind != NodeKind::set && kind != NodeKind::object) fail("PK06", fmt::format("cannot add to {}", type_name(kind)));
  if (items.empty()) return;
  std::vector<Handle>& into = kind == NodeKind::set ? container(target) : graph_.extra(graph_.node(target)).items;
  into.insert(into.end(), items.begin(), items.end());
}

void Machine::build() {
  Handle state = pop(), target = top();
  log(target);
  // The state of another kind of value, such as a global, is not stored. The event records it.
  if (graph_.kind(target) == NodeKind::object) graph_.extra(graph_.node(target)).state = state;
}

Handle Machine::read_global() {
  std::string_view module = stream_.line(limits_.line_bytes), global_name = stream_.line(limits_.line_bytes);
  return make_global(module, global_name);
}

void Machine::stack_global() {
  Handle name_handle = pop(), module_handle = pop();
  auto global_name = graph_.text(name_handle), module = graph_.text(module_handle);
  if (!global_name || !module) fail("PK07", "module and name must be str");
  push(make_global(*module, *global_name));
}

void Machine::reduce() {
  Handle args = pop();
  Handle callable = pop();
  push(make_object(callable, args));
  if (graph_.kind(args) != NodeKind::tuple)
    fail("PK07", fmt::format("the arguments are {}, not a tuple", type_name(graph_.kind(args))));
}

void Machine::instance() {
  Handle callable = read_global();
  push(make_object(callable, make_tuple(pop_to_mark())));
}

void Machine::object_of_class() {
  std::span<const Handle> items = pop_to_mark();
  if (items.empty()) fail("PK04", "no class above the last mark");
  Handle callable = items[0];
  push(make_object(callable, make_tuple(items.subspan(1))));
}

void Machine::new_object(bool with_kwargs) {
  Handle kwargs = with_kwargs ? pop() : kNothing;
  Handle args = pop();
  Handle callable = pop();
  push(make_object(callable, args, kwargs));
  if (graph_.kind(args) != NodeKind::tuple)
    fail("PK07", fmt::format("the arguments are {}, not a tuple", type_name(graph_.kind(args))));
  if (with_kwargs && graph_.kind(kwargs) != NodeKind::dict)
    fail("PK07", fmt::format("the keyword arguments are {}, not a dict", type_name(graph_.kind(kwargs))));
}

}  // namespace depickle::pickle
