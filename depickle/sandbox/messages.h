// The messages between the two processes: tasks with their options, file requests, results.
#pragma once

#include <string>
#include <vector>

#include "depickle/repo/engine.h"
#include "depickle/sandbox/wire.h"

namespace depickle::sandbox {

/// A worker's task. The arguments follow.
enum class Task : uint8_t { convert_model, compare_models, scan_file, summarize, check_model };
template <>
inline constexpr unsigned kEnumSize<Task> = 5;

/// The first byte of each message that a worker sends on its first channel.
enum class Reply : uint8_t { progress, result, error };
template <>
inline constexpr unsigned kEnumSize<Reply> = 3;

/// A worker's request on the other channels. The response is `true` and the values below, or `false` and an Error.
enum class Request : uint8_t {
  open,     ///< side, name → found, then number, name, size_bytes, is_remote; the descriptor if the file is local
  read,     ///< number, offset, length → the bytes
  target,   ///< file_bytes → wanted, then name; the descriptor
  scratch,  ///< → the descriptor
};
template <>
inline constexpr unsigned kEnumSize<Request> = 4;
inline constexpr uint64_t kMaxReadBytes = 8 << 20;

/// The resource limits of a worker. 0: no limit.
struct ResourceLimits {
  uint64_t memory_bytes = 0;
  uint64_t file_bytes = 0;  ///< the size of each file that it writes
  uint64_t cpu_seconds = 0;
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
inline constexpr unsigned kEnumSize<convert::PlanOptions::Ties> = 2;
template <>
inline constexpr unsigned kEnumSize<repo::TensorFinding::Kind> = 13;

template <class Wire>
void fields(Wire& wire, ResourceLimits& x) {
  wire(x.memory_bytes, x.file_bytes, x.cpu_seconds);
}

}  // namespace depickle::sandbox

// In the namespaces of the structs, where argument-dependent lookup finds them.
namespace depickle {
template <class Wire>
void fields(Wire& wire, Unused& x) {
  wire(x.path, x.description, x.tensors);
}
template <class Wire>
void fields(Wire& wire, Unsupported& x) {
  wire(x.name, x.what);
}
}  // namespace depickle

namespace depickle::weights {
template <class Wire>
void fields(Wire& wire, OpenOptions& x) {
  wire(x.root, x.expand_limit_bytes);
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
  wire(x.keep, x.discard);
}
template <class Wire>
void fields(Wire& wire, PlanOptions& x) {
  wire(x.ties, x.tied_names, x.align_bytes, x.skip_unsupported);
}
/// All members except `progress`.
template <class Wire>
void fields(Wire& wire, EngineOptions& x) {
  wire(x.plan, x.open, x.checksums, x.digests, x.durable, x.threads, x.file);
}
template <class Wire>
void fields(Wire& wire, Tied& x) {
  wire(x.name, x.kept);
}
template <class Wire>
void fields(Wire& wire, DigestedFile& x) {
  wire(x.path, x.size_bytes, x.sha256);
}
template <class Wire>
void fields(Wire& wire, DigestedTensor& x) {
  wire(x.name, x.dtype, x.shape, x.size_bytes, x.sha256);
}
template <class Wire>
void fields(Wire& wire, FileReport& x) {
  wire(x.source, x.target, x.container, x.root, x.tensors, x.identical, x.tensor_bytes, x.file_bytes, x.seconds, x.tied,
      x.unused, x.unsupported, x.notes, x.contents, x.digested_sources, x.target_sha256);
}
template <class Wire>
void fields(Wire& wire, Difference& x) {
  wire(x.kind, x.name, x.a, x.b, x.element);
}
template <class Wire>
void fields(Wire& wire, Comparison& x) {
  wire(x.tensors, x.identical, x.compared_bytes, x.differences, x.tied);
}
template <class Wire>
void fields(Wire& wire, TableSummary& x) {
  wire(x.container, x.is_safetensors, x.root, x.tensors, x.metadata, x.unused, x.unsupported, x.notes);
}
}  // namespace depickle::convert

namespace depickle::repo {
template <class Wire>
void fields(Wire& wire, ModelParts& x) {
  wire(x.entry, x.shards);
}
template <class Wire>
void fields(Wire& wire, ModelPair& x) {
  wire(x.safetensors, x.pickle);
}
template <class Wire>
void fields(Wire& wire, TensorFinding& x) {
  wire(x.kind, x.file, x.tensor, x.what);
}
/// The members that check_model() adds to.
template <class Wire>
void fields(Wire& wire, Check& x) {
  wire(x.tensors, x.compared, x.identical, x.compared_bytes, x.notes);
}
}  // namespace depickle::repo
