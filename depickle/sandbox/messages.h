// What is said between the two processes: which work, with which options, and what came of it.
#pragma once

#include <string>
#include <vector>

#include "depickle/repo/engine.h"
#include "depickle/sandbox/wire.h"

namespace depickle::sandbox {

/// What a worker is told to do; the arguments follow.
enum class Task : uint8_t { convert, compare, scan, look, check_model };
template <>
inline constexpr unsigned kChoices<Task> = 5;

/// What a worker says on its first channel, in front of each message.
enum class Reply : uint8_t { progress, result, error };
template <>
inline constexpr unsigned kChoices<Reply> = 3;

/// What a worker asks for on the others. The answer begins with `true` and what was asked for, or with `false` and an Error.
enum class Request : uint8_t {
  open,     ///< side, name → found, then number, name, size_bytes, is_remote; a file where it lies on this machine
  read,     ///< number, offset, length → the bytes
  target,   ///< file_bytes → wanted, then name; the file
  scratch,  ///< → the file
};
template <>
inline constexpr unsigned kChoices<Request> = 4;
inline constexpr uint64_t kMaxReadBytes = 8 << 20;

/// What a worker is held to. 0 is no limit.
struct Bounds {
  uint64_t memory_bytes = 0;
  uint64_t file_bytes = 0;  ///< of each file that it writes
  uint64_t cpu_seconds = 0;
};

template <>
inline constexpr unsigned kChoices<os::Durable> = 2;
template <>
inline constexpr unsigned kChoices<Dtype> = kDtypes;
template <>
inline constexpr unsigned kChoices<scan::Verdict> = 3;
template <>
inline constexpr unsigned kChoices<convert::Finding::Kind> = 5;
template <>
inline constexpr unsigned kChoices<convert::PlanOptions::Ties> = 2;
template <>
inline constexpr unsigned kChoices<repo::TensorFinding::Kind> = 13;

template <class Wire>
void fields(Wire& wire, Bounds& x) {
  wire(x.memory_bytes, x.file_bytes, x.cpu_seconds);
}

}  // namespace depickle::sandbox

// Beside the structs themselves, where argument-dependent lookup finds them.
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
  wire(x.record, x.offset_bytes, x.what, x.effect, x.count);
}
template <class Wire>
void fields(Wire& wire, NamedGlobal& x) {
  wire(x.record, x.name, x.inert, x.count, x.offset_bytes);
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
/// All but the listener.
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
      x.unused, x.skipped, x.notes, x.contents, x.digested_sources, x.target_sha256);
}
template <class Wire>
void fields(Wire& wire, Finding& x) {
  wire(x.kind, x.name, x.a, x.b, x.element);
}
template <class Wire>
void fields(Wire& wire, Comparison& x) {
  wire(x.tensors, x.identical, x.compared_bytes, x.findings, x.tied);
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
/// What comparing one model adds to a Check.
template <class Wire>
void fields(Wire& wire, Check& x) {
  wire(x.tensors, x.compared, x.identical, x.compared_bytes, x.notes);
}
}  // namespace depickle::repo
