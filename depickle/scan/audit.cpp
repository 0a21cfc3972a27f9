#include "depickle/scan/audit.h"

#include <algorithm>
#include <array>
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

constexpr size_t kMaxGlobals = 10'000;
constexpr size_t kMaxFindings = 1000;  // of each grade
constexpr uint64_t kMaxPickles = 10'000;
constexpr int kMaxCallDepth = 3;

// Returns whether random bytes are unlikely to be this name. Letters of all scripts are allowed, and "my-module" is a
// possible file name.
bool is_plausible(std::string_view name) {
  return !name.empty() && is_utf8(name) && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-' || static_cast<unsigned char>(c) >= 0x80;
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
        depth_(depth) {
    for (const Finding& finding : scan_.findings) ++listed_[static_cast<size_t>(finding.grade)];
  }

  void run() {
    for (const pickle::Event& event : graph_.events()) audit_event(event);
    for (const pickle::Global& global : graph_.globals()) {
      if (!is_counted(global)) continue;
      if (is_loader(global) && passes_loader_on())
        add(global.offset_bytes, "passes on " + dotted(global),
            {Grade::executes, "unpickles more data, which cannot be checked"});
      const bool inert = is_inert(global);
      const Risk risk = inert ? Risk{Grade::inert, "builds tensors and plain containers"} : risk_of(global);
      if (scan_.globals.size() < kMaxGlobals)
        scan_.globals.push_back(
            {record_, dotted(global), inert, std::string(risk.effect), global.count, global.offset_bytes});
      if (!inert && !called_.contains(dotted(global)) && !is_torchscript(global))
        add(global.offset_bytes, "imports " + dotted(global), risk, &global, global.count);
    }
    add_torchscript();
  }

 private:
  void audit_event(const pickle::Event& event) {
    switch (event.op()) {
      case Op::EXT1:
      case Op::EXT2:
      case Op::EXT4:
        add(event.offset_bytes, fmt::format("extension code {}", graph_.extension_code(event.node)),
            {Grade::unknown, "imports through the extension registry of the interpreter"});
        break;
      case Op::BUILD:
        if (const pickle::Global* global = called_global(graph_, event.node)) {
          if (is_counted(*global))
            add(event.offset_bytes, "sets the state of " + dotted(*global), {Grade::executes, "modifies existing code"},
                global);
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
      add(event.offset_bytes, "calls " + call_text(graph_, event.node), {Grade::executes, "calls a computed object"});
    } else if (!is_inert(*global)) {
      if (!is_counted(*global) || is_torchscript(*global)) return;
      std::string name = dotted(*global);
      // All instances of one class are one finding; each other call is a finding of its own.
      bool makes_instance = object->made_by == Op::NEWOBJ || object->made_by == Op::NEWOBJ_EX;
      auto [first, is_new] = called_.try_emplace(name, scan_.findings.size());
      if (makes_instance && !is_new && first->second < scan_.findings.size()) {
        ++scan_.findings[first->second].count;
      } else {
        add(event.offset_bytes, call_text(graph_, event.node), risk_of(*global), global);
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
      add(event.offset_bytes, call_text(graph_, event.node), {Grade::executes, "unpickles more data"});
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
      add(event.offset_bytes, call_text(graph_, event.node), {Grade::executes, "unpickles computed data"});
    }
  }

  void audit_loaded(const pickle::Event& event, Bytes bytes, const std::string& where) {
    // torch.load would read the archive. torch writes no storage as one, and its first bytes may also be a harmless
    // pickle.
    if (detect::file_kind(bytes) == detect::FileKind::zip)
      return add(event.offset_bytes, call_text(graph_, event.node),
          {Grade::executes, "unpickles an archive inside the pickle"});
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

  // The classes of a TorchScript archive are one finding.
  static bool is_torchscript(const pickle::Global& global) {
    return global.module == "__torch__" || global.module.starts_with("__torch__.");
  }

  void add_torchscript() {
    const pickle::Global* first = nullptr;
    uint64_t classes = 0;
    for (const pickle::Global& global : graph_.globals()) {
      if (!is_torchscript(global) || !is_counted(global)) continue;
      if (!first) first = &global;
      ++classes;
    }
    if (first)
      add(first->offset_bytes, fmt::format("{}{}", dotted(*first), classes > 1 ? " and other classes" : ""),
          risk_of(*first), first, classes);
  }

  void add(
      uint64_t offset_bytes, std::string what, Risk risk, const pickle::Global* global = nullptr, uint64_t count = 1) {
    // Each grade has a limit of its own: many harmless findings must not hide another.
    if (listed_[static_cast<size_t>(risk.grade)]++ < kMaxFindings)
      scan_.findings.push_back({record_, offset_bytes + first_byte_, global ? dotted(*global) : "", std::move(what),
          std::string(risk.effect), count, risk.grade});
  }

  Scan& scan_;
  const Graph& graph_;
  const std::string& record_;
  uint64_t first_byte_;
  Certainty certainty_;
  int depth_;
  std::array<size_t, 3> listed_{};        ///< findings of each grade
  std::map<std::string, size_t> called_;  ///< called names → index of their first finding
  std::set<const void*> audited_;         ///< nested streams; one may be unpickled a million times
};

// Returns whether bytes that may be a pickle are one: they reach STOP, or contain a plausible global.
bool is_credible(const pickle::Trace& trace) {
  return !trace.failure ||
         std::ranges::any_of(trace.graph.globals(), [](const pickle::Global& global) { return is_plausible(global); });
}

// torch.load reads a file that is not an archive as up to five pickles: it goes on after the first if that equals its
// magic number, and after the second if that equals 1001. Values are compared, so any opcode may spell them, and a call
// may return them.
constexpr uint64_t kLegacyPickles = 5;
constexpr int64_t kProtocolVersion = 1001;

bool may_equal(const Graph& graph, Handle value, std::optional<int64_t> number) {
  if (auto object = graph.object(value)) {
    const pickle::Global* global = graph.global(object->callable);
    const auto builder = global ? torch::find_builder(*global) : std::nullopt;
    return builder != torch::BuilderFunction::ordered_dict && builder != torch::BuilderFunction::dict_like;
  }
  switch (graph.kind(value)) {
    case NodeKind::integer: return number && graph.integer(value) == number;
    case NodeKind::real: return number && graph.real(value) == static_cast<double>(*number);
    case NodeKind::none:
    case NodeKind::boolean:
    case NodeKind::text:
    case NodeKind::bytes:
    case NodeKind::list:
    case NodeKind::tuple:
    case NodeKind::dict:
    case NodeKind::set: return false;
    case NodeKind::big_integer:
    case NodeKind::global:
    case NodeKind::object:
    case NodeKind::persistent:
    case NodeKind::extension: return true;
  }
  return true;
}

// Returns how many pickles at the start of a stream torch may read, as far as its first pickles tell.
uint64_t pickles_for_torch(uint64_t count, uint64_t known, const Graph& graph) {
  const Handle root = graph.root();
  if (count == 0 && may_equal(graph, root, std::nullopt)) return std::max<uint64_t>(known, 2);
  if (count == 1 && known == 2 && may_equal(graph, root, kProtocolVersion)) return kLegacyPickles;
  return known;
}

}  // namespace

bool begins_with_opcode(Bytes bytes) noexcept {
  return !bytes.empty() && !pickle::name(static_cast<Op>(bytes[0])).empty();
}

uint64_t audit_stream(Scan& scan, Bytes stream, const std::string& record, Certainty certainty, int depth) {
  // The pickles that are known to be ones. Other bytes, as weights, may look like a pickle by chance.
  uint64_t known = certainty == Certainty::certain ? 1 : 0;
  auto keep_first = [&](const Error& error) {
    if (!scan.error) scan.error = record.empty() ? error : error.in(record);
  };
  uint64_t at = 0;
  for (uint64_t count = 0; at < stream.size(); ++count) {
    Certainty here = count < known ? Certainty::certain : Certainty::heuristic;
    if (here == Certainty::heuristic && !begins_with_opcode(stream.subspan(at))) break;
    if (count == kMaxPickles) {
      keep_first(Error(
          Code::limit, "PK10", fmt::format("more than {} consecutive pickles", grouped(kMaxPickles)), Where::at(at)));
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
      if (trace.divergence) keep_first(*trace.divergence);
    }
    if (trace.failure) {
      if (is_pickle || trace.python_may_continue) keep_first(*trace.failure);
      break;
    }
    if (is_pickle) known = pickles_for_torch(count, known, trace.graph);
    at += trace.end_bytes;
  }
  return at;
}

}  // namespace depickle::scan
