// The pickle machine: traces and parses one stream with small limits, and calls every accessor of the graph.
#include <algorithm>

#include "depickle/formats/pickle/describe.h"
#include "depickle/formats/pickle/parse.h"
#include "fuzz/fuzz.h"
#include "fuzz/mutate.h"

namespace depickle::fuzz {
namespace {

using namespace pickle;

constexpr ParseLimits kLimits{.opcodes = 50'000,
    .nodes = 40'000,
    .memo_entries = 20'000,
    .stack_items = 10'000,
    .marks = 1'000,
    .line_bytes = 512,
    .text_bytes = 16 << 10};

void check_handles(const Graph& graph, std::span<const Handle> handles) {
  require(std::ranges::all_of(handles, [&](Handle handle) { return handle < graph.nodes(); }),
      "every handle is a node of the graph");
}

void check_entries(const Graph& graph, std::span<const Handle> pairs) {
  auto entries = graph.entries(pairs);
  require(entries.size() <= pairs.size() / 2, "there are at most as many entries as pairs");
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : entries) {
    check_handles(graph, std::array{key, value});
    if (auto text = graph.text(key)) keys.push_back(*text);
  }
  std::ranges::sort(keys);
  require(std::ranges::adjacent_find(keys) == keys.end(), "str keys are unique");
}

void check_object(const Graph& graph, const Object& object) {
  check_handles(graph, std::array{object.callable, object.args});
  if (object.kwargs != kNothing) check_handles(graph, {&object.kwargs, 1});
  if (object.state != kNothing) check_handles(graph, {&object.state, 1});
  check_handles(graph, object.items);
  check_handles(graph, object.pairs);
  check_entries(graph, object.pairs);
}

void check_node(const Graph& graph, Handle handle) {
  NodeKind kind = graph.kind(handle);
  require(graph.integer(handle).has_value() == (kind == NodeKind::integer || kind == NodeKind::boolean),
      "integers have values");
  require(graph.real(handle).has_value() == (kind == NodeKind::real), "reals have values");
  require(graph.text(handle).has_value() == (kind == NodeKind::text), "texts have characters");
  require(graph.bytes(handle).has_value() == (kind == NodeKind::bytes || kind == NodeKind::big_integer),
      "bytes have bytes");
  require((graph.global(handle) != nullptr) == (kind == NodeKind::global), "globals have names");
  check_handles(graph, graph.children(handle));
  if (kind == NodeKind::dict) check_entries(graph, graph.children(handle));
  if (kind == NodeKind::persistent) check_handles(graph, std::array{graph.persistent_id(handle)});
  if (auto object = graph.object(handle)) check_object(graph, *object);
}

void check_descriptions(const Graph& graph, Handle handle) {
  for (const std::string& text : {pickle::describe(graph, handle), pickle::call_text(graph, handle)}) {
    require(text.size() < 64 << 10, "descriptions are short");
    require(std::ranges::none_of(text, [](char c) { return (static_cast<unsigned char>(c) < 0x20) || c == 0x7f; }),
        "descriptions are printable");
  }
}

void check_events(const Trace& trace, uint64_t first_byte) {
  uint64_t before = first_byte;
  for (const Event& event : trace.graph.events()) {
    require(event.offset_bytes >= before && event.offset_bytes < first_byte + trace.end_bytes,
        "events are in the order of the stream");
    check_handles(trace.graph, {&event.node, 1});
    before = event.offset_bytes;
  }
  for (const Global& global : trace.graph.globals())
    require(global.count > 0 && global.offset_bytes < first_byte + trace.end_bytes,
        "globals have a count and an offset in the stream");
}

void run(Bytes stream) {
  Trace trace = pickle::trace(stream, 1000, kLimits);
  require(trace.end_bytes <= stream.size(), "no byte after the stream is read");
  require(trace.graph.nodes() <= kLimits.nodes, "the limit of nodes is respected");
  check_events(trace, 1000);
  for (Handle handle = 0; handle < trace.graph.nodes(); ++handle) check_node(trace.graph, handle);
  constexpr Handle kFirstDescribed = 256, kMaxDescribed = 2000;  // every graph begins with the same ints
  for (Handle handle = kFirstDescribed; handle < trace.graph.nodes() && handle < kMaxDescribed; ++handle)
    check_descriptions(trace.graph, handle);
  if (trace.failure)
    require(trace.failure->where().offset_bytes.value_or(1000) >= 1000,
        "the offset of an error includes the offset of the stream");

  std::optional<Pickle> parsed;
  bool accepted = accepts([&] { parsed = parse(stream, 0, kLimits); });
  require(accepted == (!trace.failure && !trace.divergence), "trace and parse agree");
  if (!accepted) return;
  require(parsed->end_bytes == trace.end_bytes && parsed->graph.nodes() == trace.graph.nodes(),
      "trace and parse see the same graph");
  check_handles(parsed->graph, std::array{parsed->graph.root()});
  // Bytes after STOP have no effect.
  Trace alone = pickle::trace(stream.first(trace.end_bytes), 0);
  require(
      !alone.failure && alone.graph.nodes() == trace.graph.nodes(), "wider limits and a shorter stream change nothing");
  require(trace.end_bytes == 0 || pickle::trace(stream.first(trace.end_bytes - 1), 0).failure.has_value(),
      "a pickle without its STOP is refused");
}

}  // namespace
}  // namespace depickle::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  depickle::fuzz::run(depickle::fuzz::input(data, size));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  return depickle::fuzz::mutate_pickle(data, size, max_size, seed);
}
