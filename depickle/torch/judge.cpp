#include "depickle/torch/judge.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/pickle/parse.h"
#include "depickle/torch/globals.h"
#include "depickle/torch/inflate.h"
#include "depickle/torch/words.h"

namespace depickle::torch {
namespace {

using pickle::Graph;
using pickle::Handle;
using pickle::Kind;
using pickle::Op;

constexpr size_t kMostFindings = 1000;
constexpr int kMostDepth = 3;

bool plausible(std::string_view name) {
  return !name.empty() && name.size() < 200 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
  });
}

class Judge {
 public:
  Judge(Scan& scan, const pickle::Trace& trace, const std::string& record, uint64_t first_byte, Suspect suspect, int depth)
      : scan_(scan), graph_(trace.graph), record_(record), first_byte_(first_byte), suspect_(suspect), depth_(depth) {}

  void run() {
    for (const pickle::Event& event : graph_.events()) look_at(event);
    for (const pickle::Global& global : graph_.globals()) {
      if (suspect_ == Suspect::perhaps && !(plausible(global.module) && plausible(global.name))) continue;
      bool inert = is_inert(global);
      scan_.globals.push_back({record_, dotted(global), inert, global.count, global.offset_bytes});
      if (!inert && !called_.contains(dotted(global))) add(global.offset_bytes, "names " + dotted(global), std::string(plain_words(global)), global.count);
    }
  }

 private:
  void look_at(const pickle::Event& event) {
    switch (event.op()) {
      case Op::EXT1: case Op::EXT2: case Op::EXT4:
        add(event.offset_bytes, fmt::format("extension code {}", graph_.extension_code(event.node)), "names something through the interpreter's own registry");
        break;
      case Op::BUILD:
        if (const pickle::Global* global = graph_.global(event.node)) {
          if (believed(*global)) add(event.offset_bytes, "sets the state of " + dotted(*global), "changes other code");
        }
        break;
      case Op::PERSID: case Op::BINPERSID: break;
      default: look_at_call(event);
    }
  }

  void look_at_call(const pickle::Event& event) {
    auto object = graph_.object(event.node);
    if (!object) return;
    const pickle::Global* global = called_global(graph_, object->callable);
    if (!global) {
      add(event.offset_bytes, "calls " + call_text(graph_, event.node), "calls something that is computed first");
    } else if (!is_inert(*global)) {
      if (!believed(*global)) return;
      std::string name = dotted(*global);
      // Hundreds of layers of one class are one finding; each call with arguments is its own.
      bool makes_instance = object->made_by == Op::NEWOBJ || object->made_by == Op::NEWOBJ_EX;
      auto [known, is_new] = called_.try_emplace(name, scan_.findings.size());
      if (makes_instance && !is_new && known->second < scan_.findings.size()) {
        ++scan_.findings[known->second].count;
      } else {
        add(event.offset_bytes, call_text(graph_, event.node), std::string(plain_words(*global)));
      }
    } else if (find_builder(*global) == Builder::load_from_bytes) {
      look_into_bytes(event, *object);
    }
  }

  bool believed(const pickle::Global& global) const { return suspect_ == Suspect::pickle || (plausible(global.module) && plausible(global.name)); }

  // torch.storage._load_from_bytes unpickles its argument.
  void look_into_bytes(const pickle::Event& event, const pickle::Object& object) {
    std::span<const Handle> args = graph_.children(object.args);
    std::string where = fmt::format("{}{}bytes unpickled at {}", record_, record_.empty() ? "" : ": ", event.offset_bytes);
    if (args.size() != 1 || depth_ >= kMostDepth) {
      add(event.offset_bytes, call_text(graph_, event.node), "unpickles more data");
    } else if (auto bytes = graph_.bytes(args[0]); bytes && graph_.kind(args[0]) == Kind::bytes) {
      judge_stream(scan_, *bytes, where, Suspect::pickle, depth_ + 1);
    } else if (auto text = encoded_text(args[0])) {
      try {
        auto source = latin1_bytes(record_, *text, nullptr);
        judge_stream(scan_, source->all(), where, Suspect::pickle, depth_ + 1);
      } catch (const Error& error) {
        if (!scan_.error) scan_.error = error;
      }
    } else {
      add(event.offset_bytes, call_text(graph_, event.node), "unpickles data that is computed first");
    }
  }

  std::optional<std::string_view> encoded_text(Handle handle) const {
    auto object = graph_.object(handle);
    if (!object || !graph_.is_global(object->callable, "_codecs", "encode")) return std::nullopt;
    std::span<const Handle> args = graph_.children(object->args);
    return args.empty() ? std::nullopt : graph_.text(args[0]);
  }

  void add(uint64_t offset_bytes, std::string what, std::string words, uint64_t count = 1) {
    if (scan_.findings.size() < kMostFindings) scan_.findings.push_back({record_, offset_bytes + first_byte_, std::move(what), std::move(words), count});
  }

  Scan& scan_;
  const Graph& graph_;
  const std::string& record_;
  uint64_t first_byte_;
  Suspect suspect_;
  int depth_;
  std::map<std::string, size_t> called_;  ///< names that were called, to their first finding
};

}  // namespace

bool begins_as_pickle(Bytes bytes) noexcept {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x80} && std::to_integer<unsigned>(bytes[1]) <= 5;
}

bool may_begin_old_pickle(Bytes bytes) noexcept {
  constexpr std::string_view kFirst = "(c]})lSVILNFKJMUTXi";
  return !bytes.empty() && kFirst.find(static_cast<char>(bytes[0])) != kFirst.npos;
}

uint64_t judge_stream(Scan& scan, Bytes stream, const std::string& record, Suspect suspect, int depth) {
  uint64_t at = 0;
  for (uint64_t count = 0; at < stream.size() && count < 10'000; ++count) {
    bool first = count == 0;
    if (!first && !begins_as_pickle(stream.subspan(at)) && !may_begin_old_pickle(stream.subspan(at))) break;
    // What follows a whole pickle need not be one.
    Suspect here = first ? suspect : Suspect::perhaps;
    pickle::Limits limits;
    if (here == Suspect::perhaps) limits.opcodes = 1'000'000;
    pickle::Trace trace = pickle::trace(stream.subspan(at), at, limits);
    size_t findings_before = scan.findings.size();
    Judge(scan, trace, record, 0, here, depth).run();
    bool found = scan.findings.size() > findings_before;
    if (!trace.failure || here == Suspect::pickle || found) ++scan.pickles;
    if (trace.failure) {
      if (here == Suspect::pickle || found) {
        if (!scan.error) scan.error = record.empty() ? *trace.failure : trace.failure->in(record);
      }
      break;
    }
    at += trace.end_bytes;
  }
  return at;
}

}  // namespace depickle::torch
