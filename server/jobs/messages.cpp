#include "server/jobs/messages.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/sandbox/wire.h"
#include "server/jobs/json_check.h"

namespace depickle::server::jobs {

enum class Report : uint8_t { phase, progress, tensors, result, error };

}  // namespace depickle::server::jobs

template <>
inline constexpr unsigned depickle::sandbox::kEnumSize<depickle::server::jobs::JobKind> =
    depickle::server::jobs::kJobKinds;
template <>
inline constexpr unsigned depickle::sandbox::kEnumSize<depickle::server::jobs::Report> = 5;

namespace depickle::server::jobs {

using sandbox::exact;
using sandbox::WireReader;
using sandbox::WireWriter;

// For argument-dependent lookup, not in an anonymous namespace.
template <class Wire>
void fields(Wire& wire, Confinement& x) {
  wire(x.folder, x.cache, x.memory_bytes, x.sandbox);
}
template <class Wire>
void fields(Wire& wire, JobRequest& x) {
  wire(x.kind, x.address, x.repo, x.revision, x.path, x.number, x.pull_request, x.is_from_public_hub);
}
template <class Wire>
void fields(Wire& wire, Task& x) {
  wire(x.request, x.token, x.account_token, x.hub, x.version, x.is_embedded, x.is_personal, x.max_model_bytes,
      x.sandbox_memory_bytes);
}
/// All members except `phase`, which is that of the last phase message.
template <class Wire>
void fields(Wire& wire, JobProgress& x) {
  wire(x.file, x.done_bytes, x.total_bytes, x.bytes_per_second, x.seconds_left);
}
template <class Wire>
void fields(Wire& wire, Problem& x) {
  wire(x.code, x.message, x.hint);
}
template <class Wire>
void fields(Wire& wire, Merge& x) {
  wire(x.is_possible, x.why_not, x.number, x.head);
}
template <class Wire>
void fields(Wire& wire, JobOutcome& x) {
  wire(exact(x.result), x.sentence, x.answer, x.problem, x.merge);
}
template <class Wire>
void fields(Wire& wire, TensorRow& x) {
  wire(exact(x.name), x.dtype, x.shape, x.bytes, exact(x.file), x.sha256, x.verdict, exact(x.note));
}
/// All members except `tensors`.
template <class Wire>
void fields(Wire& wire, JobResult& x) {
  wire(x.outcome, x.downloaded_bytes, x.converted_bytes);
}

namespace {

constexpr uint64_t kBatchBytes = 4 << 20;  // of a message with tensors, before the last row of it
constexpr uint64_t kMaxRowBytes = 4 << 20;
constexpr uint64_t kMaxOtherReportBytes = 16 << 20;  // of a message that is not a result
constexpr size_t kMaxTextBytes = 64 << 10;           // of a sentence, a message or a hint
constexpr size_t kMaxPathBytes = 4096;
constexpr size_t kMaxShape = 1024;
constexpr size_t kMaxColumnBytes = 64;  // dtype, sha256, verdict

template <typename... Values>
std::string message(const Values&... values) {
  WireWriter wire;
  wire(values...);
  return wire.take();
}

[[noreturn]] void fail(std::string_view what) {
  throw Error(Code::malformed, "", fmt::format("the job's process sent an invalid message: {}", what));
}

void check(bool is_valid, std::string_view what) {
  if (!is_valid) fail(what);
}

void check_text(const std::string& text, size_t max_bytes, std::string_view what) {
  check(text.size() <= max_bytes && is_utf8(text), what);
}

void check_problem(const Problem& problem) {
  bool is_known = problem.code == "failed";
  for (unsigned code = 0; code < sandbox::kEnumSize<Code>; ++code)
    is_known |= problem.code == depickle::name(static_cast<Code>(code));
  check(is_known, "error code");
  check_text(problem.message, kMaxTextBytes, "error message");
  check_text(problem.hint, kMaxTextBytes, "hint");
}

bool is_commit(std::string_view text) {
  return (text.size() == 40 || text.size() == 64) && text.find_first_not_of("0123456789abcdef") == text.npos;
}

void check_merge(const Merge& merge, const JobRequest& request) {
  check_text(merge.why_not, kMaxTextBytes, "reason");
  check(merge.number <= INT32_MAX, "number of a pull request");
  check(merge.head.empty() || is_commit(merge.head), "commit");
  if (!merge.is_possible) return;
  const bool is_of_request = request.kind == JobKind::check ? merge.number == request.number
                                                            : request.kind == JobKind::convert && request.pull_request;
  check(is_of_request && merge.number > 0 && !merge.head.empty(), "pull request to merge");
}

void check_row(const TensorRow& row) {
  check_text(row.name, kMaxTableBytes, "name of a tensor");
  check_text(row.file, kMaxPathBytes, "name of a file");
  check_text(row.note, kMaxTableBytes, "note");
  for (const std::string* text : {&row.dtype, &row.sha256, &row.verdict})
    check_text(*text, kMaxColumnBytes, "column of a tensor");
  check(row.shape.size() <= kMaxShape, "shape");
}

[[noreturn]] void throw_too_large(std::string_view what, const std::string& actual, const std::string& max) {
  throw Error(Code::limit, "",
      fmt::format("the {} of the job is too large (have {}, need at most {})", what, actual, max), {},
      "use the program: depickle inspect, depickle convert or depickle check");
}

// Names come from files.
TensorRow as_utf8(TensorRow row) {
  for (std::string* text : {&row.name, &row.file, &row.note})
    if (!is_utf8(*text)) *text = printable(*text, SIZE_MAX);
  return row;
}

void check_limits(const JobResult& result) {
  uint64_t table_bytes = 0;
  for (const TensorRow& row : result.tensors) {
    if (size_bytes(row) > kMaxRowBytes)
      throw_too_large("name of a tensor", human_bytes(size_bytes(row)), human_bytes(kMaxRowBytes));
    table_bytes += size_bytes(row);
  }
  if (result.tensors.size() > kMaxTensors)
    throw_too_large("tensor table", plural(result.tensors.size(), "tensor"), grouped(kMaxTensors));
  if (table_bytes > kMaxTableBytes)
    throw_too_large("tensor table", human_bytes(table_bytes), human_bytes(kMaxTableBytes));
  if (result.outcome.result.size() > kMaxResultBytes)
    throw_too_large("result", human_bytes(result.outcome.result.size()), human_bytes(kMaxResultBytes));
}

}  // namespace

std::string encode(const Confinement& confinement) { return message(confinement); }
std::string encode(const Task& task) { return message(task); }

Confinement decode_confinement(std::string_view text) {
  return WireReader(text, sandbox::Sender::parent).last<Confinement>();
}
Task decode_task(std::string_view text) { return WireReader(text, sandbox::Sender::parent).last<Task>(); }

uint64_t size_bytes(const TensorRow& row) {
  return row.name.size() + row.dtype.size() + 8 * row.shape.size() + row.file.size() + row.sha256.size() +
         row.verdict.size() + row.note.size();
}

std::string encode_phase(std::string_view phase) { return message(Report::phase, phase); }
std::string encode_progress(const JobProgress& progress) { return message(Report::progress, progress); }
std::string encode_error(const Error& error, uint64_t sandbox_deaths) {
  return message(Report::error, sandbox_deaths, error);
}

void encode_result(
    const JobResult& result, uint64_t sandbox_deaths, const std::function<void(const std::string&)>& send) {
  check_limits(result);
  for (auto next = result.tensors.begin(); next != result.tensors.end();) {
    std::vector<TensorRow> batch;
    for (uint64_t bytes = 0; next != result.tensors.end() && bytes < kBatchBytes; ++next) {
      bytes += size_bytes(*next) + sizeof(TensorRow);
      batch.push_back(as_utf8(*next));
    }
    send(message(Report::tensors, batch));
  }
  JobResult end{.outcome = result.outcome,
      .tensors = {},
      .downloaded_bytes = result.downloaded_bytes,
      .converted_bytes = result.converted_bytes};
  send(message(Report::result, sandbox_deaths, end));
}

ReportReader::ReportReader(JobRequest request, OnPhase on_phase, OnProgress on_progress)
    : request_(std::move(request)),
      on_phase_(std::move(on_phase)),
      on_progress_(std::move(on_progress)) {}

bool ReportReader::take(std::string_view text) try {
  check(!has_ended_, "a message after the last one");
  WireReader wire(text);
  const auto report = wire.value<Report>();
  check(report == Report::result || text.size() <= kMaxOtherReportBytes, "size");
  check(!has_tensors_ || report == Report::tensors || report == Report::result || report == Report::error, "order");
  switch (report) {
    case Report::phase: take_phase(wire.last<std::string>()); break;
    case Report::progress: take_progress(wire.last<JobProgress>()); break;
    case Report::tensors: take_tensors(wire.last<std::vector<TensorRow>>()); break;
    case Report::result:
      sandbox_deaths_ = std::min<uint64_t>(wire.value<uint64_t>(), UINT32_MAX);
      take_result(wire.last<JobResult>());
      break;
    case Report::error:
      sandbox_deaths_ = std::min<uint64_t>(wire.value<uint64_t>(), UINT32_MAX);
      error_ = wire.error();
      check(wire.is_at_end(), "bytes after an error");
      check_problem(Problem::of(*error_));
      has_ended_ = true;
  }
  return has_ended_;
} catch (const Error& error) {
  if (error.message().starts_with("the job's process")) throw;
  fail("it cannot be decoded");
}

void ReportReader::take_phase(std::string_view text) {
  const auto known = phases(request_);
  check(std::ranges::find(known, text) != known.end(), "phase");
  phase_ = text;
  on_phase_(phase_);
}

void ReportReader::take_progress(JobProgress progress) {
  check(!phase_.empty(), "progress before a phase");
  progress.phase = phase_;
  check_text(progress.file, kMaxPathBytes, "name of a file");
  check(progress.total_bytes <= INT64_MAX && progress.done_bytes <= progress.total_bytes, "progress");
  auto is_amount = [](double number) { return std::isfinite(number) && number >= 0; };
  check(is_amount(progress.bytes_per_second) && is_amount(progress.seconds_left.value_or(0)), "progress");
  on_progress_(progress);
}

void ReportReader::take_tensors(std::vector<TensorRow> rows) {
  has_tensors_ = true;
  check(rows.size() <= kMaxTensors - result_.tensors.size(), "too many tensors");
  for (TensorRow& row : rows) {
    check_row(row);
    table_bytes_ += size_bytes(row);
    check(table_bytes_ <= kMaxTableBytes, "the tensor table is too large");
    result_.tensors.push_back(std::move(row));
  }
}

void ReportReader::take_result(JobResult result) {
  JobOutcome& outcome = result.outcome;
  check(outcome.result.empty() || is_compact_json_object(outcome.result), "result");
  check_text(outcome.sentence, kMaxTextBytes, "sentence");
  check(outcome.answer.empty() || outcome.answer == "yes" || outcome.answer == "no" || outcome.answer == "nothing",
      "answer");
  if (outcome.problem) check_problem(*outcome.problem);
  check_merge(outcome.merge, request_);
  result.tensors = std::move(result_.tensors);
  result_ = std::move(result);
  has_ended_ = true;
}

JobResult ReportReader::result() {
  if (error_) throw *error_;
  return std::move(result_);
}

}  // namespace depickle::server::jobs
