// The messages between the two processes: tasks with their options, file requests, results.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "depickle/repo/engine.h"
#include "depickle/sandbox/wire.h"

namespace depickle::sandbox {

/// A worker's task. The arguments follow.
enum class Task : uint8_t { convert_model, compare_models, scan_file, summarize, check_model };
template <>
inline constexpr unsigned kEnumSize<Task> = 5;
/// The results, by Task.
using Results =
    std::tuple<std::optional<convert::FileReport>, convert::Comparison, scan::Scan, convert::TableSummary, repo::Check>;
template <Task task>
using ResultOf = std::tuple_element_t<static_cast<size_t>(task), Results>;
static_assert(std::tuple_size_v<Results> == kEnumSize<Task>);

/// The first byte of each message that a worker sends on its first channel.
enum class Reply : uint8_t {
  progress,  ///< ProgressReport
  result,    ///< ResultOf<task>
  error,     ///< Error
};
template <>
inline constexpr unsigned kEnumSize<Reply> = 3;

/// The phases of Step, by their number in messages. The parent knows the file.
inline constexpr std::string_view kPhases[] = {"write", "compare", "check", "hash", "verify"};
struct ProgressReport {
  uint8_t phase = 0;
  uint64_t done_bytes = 0;
  uint64_t total_bytes = 0;
};

/// A worker's request on the other channels. The response is `true` and the values below, or `false` and an Error.
enum class Request : uint8_t {
  open,     ///< number → found, then name, size_bytes, is_remote; the descriptor if the file is local
  read,     ///< number, offset, length → the bytes; only for an open file without a descriptor
  target,   ///< file_bytes → wanted, then name; the descriptor; once
  scratch,  ///< → the descriptor; once
};
template <>
inline constexpr unsigned kEnumSize<Request> = 4;
/// The arguments of the requests, by Request. A worker chooses files by their number in the parent's list (FileList).
using Arguments =
    std::tuple<std::tuple<uint64_t>, std::tuple<uint64_t, uint64_t, uint64_t>, std::tuple<uint64_t>, std::tuple<>>;
template <Request request>
using ArgumentsOf = std::tuple_element_t<static_cast<size_t>(request), Arguments>;
static_assert(std::tuple_size_v<Arguments> == kEnumSize<Request>);

template <typename Values>
inline constexpr bool kAreNumbers = false;
template <typename... Values>
inline constexpr bool kAreNumbers<std::tuple<Values...>> = (std::is_same_v<Values, uint64_t> && ...);
template <typename... Requests>
constexpr bool only_numbers(const std::tuple<Requests...>*) {
  return (kAreNumbers<Requests> && ...);
}
static_assert(only_numbers(static_cast<const Arguments*>(nullptr)), "a worker must not send names");

inline constexpr uint64_t kMaxReadBytes = 8 << 20;
inline constexpr uint64_t kMaxRequestBytes = 64;

/// The limits of a worker.
struct ResourceLimits {
  uint64_t memory_bytes = 0;  ///< 0: no limit
  uint64_t file_bytes = 0;    ///< of each of its two files: the target and the scratch file. 0: limits_for() decides
  uint64_t cpu_seconds = 0;   ///< 0: limits_for() decides
};

/// The names of the files that the requests of one side number: 0 is the entry of a model, the others are its shards.
struct SideNames {
  std::vector<std::string> names = {};
  bool has_shards = false;  ///< whether an index is allowed
};

template <>
inline constexpr unsigned kEnumSize<os::Durable> = 2;
template <>
inline constexpr unsigned kEnumSize<Dtype> = kDtypes;
template <>
inline constexpr unsigned kEnumSize<scan::Verdict> = 3;
template <>
inline constexpr unsigned kEnumSize<scan::Grade> = 3;
template <>
inline constexpr unsigned kEnumSize<convert::DifferenceKind> = 5;
template <>
inline constexpr unsigned kEnumSize<convert::TensorLayout::Kind> = 3;
template <>
inline constexpr unsigned kEnumSize<convert::PlanOptions::Ties> = 2;
template <>
inline constexpr unsigned kEnumSize<repo::TensorFinding::Kind> = 13;

template <class Wire>
void fields(Wire& wire, ResourceLimits& x) {
  wire(x.memory_bytes, x.file_bytes, x.cpu_seconds);
}
template <class Wire>
void fields(Wire& wire, SideNames& x) {
  wire(exact(x.names), x.has_shards);
}
template <class Wire>
void fields(Wire& wire, ProgressReport& x) {
  wire(x.phase, x.done_bytes, x.total_bytes);
}

}  // namespace depickle::sandbox

// In the namespaces of the structs, where argument-dependent lookup finds them.
namespace depickle {
template <class Wire>
void fields(Wire& wire, Unused& x) {
  wire(sandbox::exact(x.path), x.description, x.tensors);
}
template <class Wire>
void fields(Wire& wire, Unsupported& x) {
  wire(sandbox::exact(x.name), x.what);
}
}  // namespace depickle

namespace depickle::weights {
template <class Wire>
void fields(Wire& wire, OpenOptions& x) {
  wire(sandbox::exact(x.root), x.expand_limit_bytes);
}
}  // namespace depickle::weights

namespace depickle::scan {
template <class Wire>
void fields(Wire& wire, Finding& x) {
  wire(x.record, x.offset_bytes, x.global, x.what, x.effect, x.count, x.grade);
}
template <class Wire>
void fields(Wire& wire, NamedGlobal& x) {
  wire(x.record, x.name, x.inert, x.effect, x.count, x.offset_bytes);
}
template <class Wire>
void fields(Wire& wire, Scan& x) {
  wire(x.verdict, x.findings, x.globals, x.pickles, x.audited_bytes, x.error, x.notes);
}
}  // namespace depickle::scan

namespace depickle::convert {
template <class Wire>
void fields(Wire& wire, TiedNames& x) {
  wire(sandbox::exact(x.keep), sandbox::exact(x.discard));
}
template <class Wire>
void fields(Wire& wire, PlanOptions& x) {
  wire(x.ties, x.tied_names, x.align_bytes, x.skip_unsupported);
}
/// All members except `progress`.
template <class Wire>
void fields(Wire& wire, EngineOptions& x) {
  wire(x.plan, x.open, x.checksums, x.digests, x.durable, x.threads, sandbox::exact(x.file));
}
template <class Wire>
void fields(Wire& wire, Tied& x) {
  wire(sandbox::exact(x.name), sandbox::exact(x.kept));
}
template <class Wire>
void fields(Wire& wire, DigestedFile& x) {
  wire(x.path, x.size_bytes, x.sha256);
}
template <class Wire>
void fields(Wire& wire, DigestedTensor& x) {
  wire(sandbox::exact(x.name), x.dtype, x.shape, x.size_bytes, x.sha256);
}
/// All members except `progress` and `file`.
template <class Wire>
void fields(Wire& wire, CompareModelsOptions& x) {
  wire(x.open_a, x.open_b, x.threads);
}
template <class Wire>
void fields(Wire& wire, SummaryOptions& x) {
  wire(x.open, x.layouts, x.digests, x.threads);
}
/// All members except those that the caller sets: `source`, `target` and `seconds`.
template <class Wire>
void fields(Wire& wire, FileReport& x) {
  wire(x.container, sandbox::exact(x.root), x.tensors, x.identical, x.tensor_bytes, x.file_bytes, x.tied, x.unused,
      x.unsupported, x.notes, x.contents, x.digested_sources, x.target_sha256);
}
template <class Wire>
void fields(Wire& wire, Difference& x) {
  wire(x.kind, sandbox::exact(x.name), x.a, x.b, x.element);
}
template <class Wire>
void fields(Wire& wire, Comparison& x) {
  wire(x.tensors, x.identical, x.compared_bytes, x.differences, x.tied);
}
template <class Wire>
void fields(Wire& wire, TensorLayout& x) {
  wire(x.kind, x.strides, sandbox::exact(x.storage), x.file_offset);
}
template <class Wire>
void fields(Wire& wire, TableSummary& x) {
  wire(x.container, x.is_safetensors, sandbox::exact(x.root), sandbox::exact(x.files), x.tensors, x.layouts,
      sandbox::exact(x.metadata), x.unused, x.unsupported, x.notes);
}
}  // namespace depickle::convert

namespace depickle::repo {
template <class Wire>
void fields(Wire& wire, ModelParts& x) {
  wire(sandbox::exact(x.entry), sandbox::exact(x.shards));
}
template <class Wire>
void fields(Wire& wire, ModelPair& x) {
  wire(x.safetensors, x.pickle);
}
template <class Wire>
void fields(Wire& wire, TensorFinding& x) {
  wire(x.kind, sandbox::exact(x.file), sandbox::exact(x.tensor), x.what);
}
/// The members that check_model() adds to.
template <class Wire>
void fields(Wire& wire, Check& x) {
  wire(x.tensors, x.compared, x.identical, x.compared_bytes, x.notes);
}
}  // namespace depickle::repo
