#include "depickle/scan/audit.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/formats/detect/file_kind.h"
#include "depickle/formats/pickle/describe.h"
#include "depickle/formats/pickle/parse.h"
#include "depickle/formats/torch/contents.h"
#include "depickle/formats/torch/globals.h"
#include "depickle/formats/torch/latin1.h"
#include "depickle/scan/closed_list.h"
#include "depickle/scan/risks.h"

namespace depickle::scan {
namespace {

using pickle::Graph;
using pickle::Handle;
using pickle::NodeKind;
using pickle::Op;

constexpr size_t kMaxFindings = 1000, kMaxGlobals = 10'000;
constexpr uint64_t kMaxPickles = 10'000;
constexpr int kMaxCallDepth = 3;

// Returns whether random bytes are unlikely to be this name. Letters of all scripts are allowed, and "my-module" is a
// possible file name.
bool is_plausible(std::string_view name) {
  return !name.empty() && name.size() < 200 && is_utf8(name) &&
         std::ranges::all_of(
             name,
             [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                      c == '.' || c == '-' || static_cast<unsigned char>(c) >= 0x80;
             });
}

bool is_plausible(const pickle::Global& global) { return is_plausible(global.module) && is_plausible(global.name); }

bool is_loader(const pickle::Global& global) {
  return torch::find_builder(global) == torch::BuilderFunction::load_from_bytes;
}

class PickleAudit {
 public:
  PickleAudit(Scan& scan, const pickle::Trace& trace, const std::string& record, uint64_t first_byte,
      Certainty certainty, int depth)
      : scan_(scan),
        graph_(trace.graph),
        record_(record),
        first_byte_(first_byte),
        certainty_(certainty),
        depth_(depth) {}

  void run() {
    for (const pickle::Event& event : graph_.events()) audit_event(event);
    for (const pickle::Global& global : graph_.globals()) {
      if (!is_counted(global)) continue;
      if (is_loader(global) && passes_loader_on())
        add(global.offset_bytes, "passes on " + dotted(global), "unpickles more data, which cannot be checked");
      const bool inert = is_inert(global);
      const std::string_view effect = inert ? "builds tensors and plain containers" : describe_risk(global);
      if (scan_.globals.size() < kMaxGlobals)
        scan_.globals.push_back(
            {record_, dotted(global), inert, std::string(effect), global.count, global.offset_bytes});
      if (!inert && !called_.contains(dotted(global)))
        add(global.offset_bytes, "imports " + dotted(global), std::string(effect), global.count);
    }
  }

 private:
  void audit_event(const pickle::Event& event) {
    switch (event.op()) {
      case Op::EXT1:
      case Op::EXT2:
      case Op::EXT4:
        add(event.offset_bytes, fmt::format("extension code {}", graph_.extension_code(event.node)),
            "imports through the extension registry of the interpreter");
        break;
      case Op::BUILD:
        if (const pickle::Global* global = called_global(graph_, event.node)) {
          if (is_counted(*global))
            add(event.offset_bytes, "sets the state of " + dotted(*global), "modifies existing code");
        }
        break;
      case Op::PERSID:
      case Op::BINPERSID: break;
      default: audit_call(event);
    }
  }

  void audit_call(const pickle::Event& event) {
    auto object = graph_.object(event.node);
    if (!object) return;
    const pickle::Global* global = called_global(graph_, object->callable);
    if (!global) {
      add(event.offset_bytes, "calls " + call_text(graph_, event.node), "calls a computed object");
    } else if (!is_inert(*global)) {
      if (!is_counted(*global)) return;
      std::string name = dotted(*global);
      // All instances of one class are one finding; each other call is a finding of its own.
      bool makes_instance = object->made_by == Op::NEWOBJ || object->made_by == Op::NEWOBJ_EX;
      auto [first, is_new] = called_.try_emplace(name, scan_.findings.size());
      if (makes_instance && !is_new && first->second < scan_.findings.size()) {
        ++scan_.findings[first->second].count;
      } else {
        add(event.offset_bytes, call_text(graph_, event.node), std::string(describe_risk(*global)));
      }
    } else if (is_loader(*global)) {
      audit_bytes(event, *object);
    }
  }

  // Random bytes contain GLOBAL opcodes with implausible names.
  bool is_counted(const pickle::Global& global) const {
    return certainty_ == Certainty::certain || is_plausible(global);
  }

  // Returns whether torch.storage._load_from_bytes is an argument or item of something that may call it:
  // _rebuild_from_type_v2 calls its first argument.
  bool passes_loader_on() const {
    auto names_loader = [&](Handle handle) {
      const pickle::Global* global = handle == pickle::kNothing ? nullptr : graph_.global(handle);
      return global && is_loader(*global);
    };
    for (Handle handle = 0; handle < graph_.nodes(); ++handle) {
      if (std::ranges::any_of(graph_.children(handle), names_loader)) return true;
      auto object = graph_.object(handle);
      if (object && (names_loader(object->state) || std::ranges::any_of(object->items, names_loader) ||
                        std::ranges::any_of(object->pairs, names_loader)))
        return true;
    }
    return false;
  }

  // torch.storage._load_from_bytes unpickles its argument.
  void audit_bytes(const pickle::Event& event, const pickle::Object& object) {
    std::span<const Handle> args = graph_.children(object.args);
    std::string where =
        fmt::format("{}{}bytes unpickled at {}", record_, record_.empty() ? "" : ": ", event.offset_bytes);
    if (args.size() != 1 || depth_ >= kMaxCallDepth) {
      add(event.offset_bytes, call_text(graph_, event.node), "unpickles more data");
    } else if (auto bytes = graph_.bytes(args[0]); bytes && graph_.kind(args[0]) == NodeKind::bytes) {
      if (audited_.insert(bytes->data()).second) audit_loaded(event, *bytes, where);
    } else if (auto text = encoded_text(args[0])) {
      if (!audited_.insert(text->data()).second) return;
      try {
        auto source = torch::latin1_bytes(record_, *text, nullptr);
        audit_loaded(event, source->all(), where);
      } catch (const Error& error) {
        if (!scan_.error) scan_.error = error;
      }
    } else {
      add(event.offset_bytes, call_text(graph_, event.node), "unpickles computed data");
    }
  }

  void audit_loaded(const pickle::Event& event, Bytes bytes, const std::string& where) {
    // torch.load would read the archive. torch writes no storage as one, and its first bytes may also be a harmless
    // pickle.
    if (detect::file_kind(bytes) == detect::FileKind::zip)
      return add(event.offset_bytes, call_text(graph_, event.node), "unpickles an archive inside the pickle");
    audit_stream(scan_, bytes, where, Certainty::certain, depth_ + 1);
  }

  std::optional<std::string_view> encoded_text(Handle handle) const {
    auto object = graph_.object(handle);
    if (!object || !graph_.is_global(object->callable, "_codecs", "encode")) return std::nullopt;
    std::span<const Handle> args = graph_.children(object->args);
    if (args.size() != 2) return std::nullopt;
    auto codec = graph_.text(args[1]);  // another codec gives other bytes
    return codec == "latin1" || codec == "latin-1" ? graph_.text(args[0]) : std::nullopt;
  }

  void add(uint64_t offset_bytes, std::string what, std::string effect, uint64_t count = 1) {
    if (scan_.findings.size() < kMaxFindings)
      scan_.findings.push_back({record_, offset_bytes + first_byte_, std::move(what), std::move(effect), count});
  }

  Scan& scan_;
  const Graph& graph_;
  const std::string& record_;
  uint64_t first_byte_;
  Certainty certainty_;
  int depth_;
  std::map<std::string, size_t> called_;  ///< called names → index of their first finding
  std::set<const void*> audited_;         ///< nested streams; one may be unpickled a million times
};

// Returns whether bytes that may be a pickle are one: they reach STOP, or contain a plausible global.
bool is_credible(const pickle::Trace& trace) {
  return !trace.failure ||
         std::ranges::any_of(trace.graph.globals(), [](const pickle::Global& global) { return is_plausible(global); });
}

}  // namespace

bool begins_with_opcode(Bytes bytes) noexcept {
  return !bytes.empty() && !pickle::name(static_cast<Op>(bytes[0])).empty();
}

uint64_t audit_stream(Scan& scan, Bytes stream, const std::string& record, Certainty certainty, int depth) {
  // A legacy torch file begins with five pickles. Bytes after the pickle of another file need not be a pickle.
  const bool is_legacy = detect::file_kind(stream) == detect::FileKind::torch_legacy;
  uint64_t certain = certainty == Certainty::heuristic ? 0 : is_legacy ? 5 : 1;
  uint64_t at = 0;
  for (uint64_t count = 0; at < stream.size(); ++count) {
    Certainty here = count < certain ? Certainty::certain : Certainty::heuristic;
    if (here == Certainty::heuristic && !begins_with_opcode(stream.subspan(at))) break;
    if (count == kMaxPickles) {
      if (!scan.error)
        scan.error = Error(Code::limit, "PK10", fmt::format("more than {} consecutive pickles", grouped(kMaxPickles)),
            {.file = record, .tensor = {}, .offset_bytes = at});
      break;
    }
    pickle::ParseLimits limits;
    // A long line must not hide the opcodes after it.
    if (here == Certainty::heuristic) limits.line_bytes = limits.text_bytes;
    pickle::Trace trace = pickle::trace(stream.subspan(at), at, limits);
    scan.audited_bytes += trace.end_bytes;
    bool is_pickle = here == Certainty::certain || is_credible(trace);
    if (is_pickle) {
      PickleAudit(scan, trace, record, 0, here, depth).run();
      ++scan.pickles;
    }
    if (trace.failure) {
      if ((is_pickle || trace.python_may_continue) && !scan.error)
        scan.error = record.empty() ? *trace.failure : trace.failure->in(record);
      break;
    }
    at += trace.end_bytes;
  }
  return at;
}

}  // namespace depickle::scan
