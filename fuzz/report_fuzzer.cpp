// The reports of a job's process, which may send anything: what ReportReader accepts can be stored and shown. The first
// byte selects the request; then each message follows its length (2 bytes).
#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "depickle/base/json_value.h"
#include "depickle/base/text.h"
#include "fuzz/fuzz.h"
#include "fuzz/mutate.h"
#include "server/jobs/messages.h"

namespace depickle::fuzz {
namespace {

using namespace server::jobs;

constexpr size_t kMaxTextBytes = 64 << 10;
constexpr uint64_t kMinRowBytes = 64;  // of a row in a message: 8 numbers and lengths
constexpr uint64_t kMaxGrowth = 4;     // of an escaped text

void require_shown(const std::string& text, std::string_view property) {
  require(is_utf8(text) && text.size() <= kMaxTextBytes && printable(text, SIZE_MAX) == text, property);
}

void check_problem(const Problem& problem) {
  require(
      !problem.code.empty() && std::ranges::all_of(problem.code, [](char c) { return c == '_' || std::islower(c); }),
      "the code of a problem is a word");
  require_shown(problem.message, "the message of a problem is printable");
  require_shown(problem.hint, "the hint of a problem is printable");
}

void check_progress(const JobProgress& progress, const std::optional<std::string>& phase) {
  require(phase && progress.phase == *phase, "progress belongs to the last phase");
  require(progress.done_bytes <= progress.total_bytes && progress.total_bytes <= INT64_MAX,
      "the bytes of a phase do not exceed its total");
  require(std::isfinite(progress.bytes_per_second) && progress.bytes_per_second >= 0, "a rate is finite");
  require(std::isfinite(progress.seconds_left.value_or(0)) && progress.seconds_left.value_or(0) >= 0,
      "a remaining time is finite");
  require_shown(progress.file, "the file of a progress is printable");
}

// The page writes the result into the JSON of the job, and this into one line of an event.
void check_json(const std::string& result) {
  if (result.empty()) return;
  require(std::ranges::none_of(result, [](unsigned char c) { return c < 0x20; }), "a result fits in one line");
  const JsonValue job = JsonValue::parse("{\"id\":\"a\",\"result\":" + result + "}");
  require(job.members().size() == 2 && job["result"].is_object(), "a result is one member of the job");
}

void check_merge(const Merge& merge, const JobRequest& request) {
  require_shown(merge.why_not, "the reason against a merge is printable");
  require(merge.number <= INT32_MAX, "the number of a pull request fits");
  if (!merge.is_possible) return;
  require(merge.number > 0 && merge.head.size() >= 40, "a pull request that can be merged has a commit");
  require(request.kind == JobKind::convert ? request.pull_request
                                           : request.kind == JobKind::check && merge.number == request.number,
      "only the pull request of the job can be merged");
}

void check_tensors(const std::vector<TensorRow>& rows, size_t input_bytes) {
  require(rows.size() <= std::min(kMaxTensors, input_bytes / kMinRowBytes), "the number of rows follows the input");
  uint64_t bytes = 0;
  for (const TensorRow& row : rows) {
    require(is_utf8(row.name) && is_utf8(row.file) && is_utf8(row.note), "the names of a tensor are UTF-8");
    for (const std::string* text : {&row.dtype, &row.sha256, &row.verdict})
      require_shown(*text, "the columns of a tensor are printable");
    require(row.shape.size() <= 1024, "a shape is short");
    bytes += size_bytes(row);
  }
  require(bytes <= std::min(kMaxTableBytes, kMaxGrowth * input_bytes), "the size of the table follows the input");
}

// Passes the messages to a reader. Returns nullopt if one is refused or the last one does not arrive.
struct Report {
  std::optional<JobResult> result;
  std::optional<Error> error;
};
std::optional<Report> read(const std::vector<std::string>& messages, const JobRequest& request) {
  std::optional<std::string> phase;
  const auto known = phases(request);
  ReportReader reader(
      request,
      [&](std::string_view name) {
        require(std::ranges::find(known, name) != known.end(), "a phase belongs to the request");
        phase = name;
      },
      [&](const JobProgress& progress) { check_progress(progress, phase); });
  bool has_ended = false;
  for (const std::string& message : messages) {
    bool is_last = false;
    const bool is_accepted = accepts([&] { is_last = reader.take(message); });
    require(!has_ended || !is_accepted, "no message follows the last one");
    if (has_ended) break;
    if (!is_accepted) return std::nullopt;
    has_ended = is_last;
  }
  require(reader.sandbox_deaths() <= UINT32_MAX, "the number of deaths fits");
  if (!has_ended) return std::nullopt;
  try {
    return Report{.result = reader.result(), .error = {}};
  } catch (const Error& error) {
    return Report{.result = {}, .error = error};
  }
}

std::vector<std::string> encode(const Report& report) {
  std::vector<std::string> out;
  if (report.error)
    out.push_back(encode_error(*report.error, 0));
  else
    encode_result(*report.result, 0, [&](const std::string& message) { out.push_back(message); });
  return out;
}

std::vector<std::string> split(Bytes bytes) {
  std::vector<std::string> messages;
  while (bytes.size() > 2) {
    const size_t size = std::min<size_t>(load<uint16_t>(bytes, 0), bytes.size() - 2);
    messages.emplace_back(text(bytes.subspan(2, size)));
    bytes = bytes.subspan(2 + size);
  }
  return messages;
}

void run(Bytes bytes) {
  if (bytes.empty()) return;
  static const std::array<JobRequest, 5> kRequests = {JobRequest{.kind = JobKind::plan},
      JobRequest{.kind = JobKind::convert}, JobRequest{.kind = JobKind::convert, .pull_request = false},
      JobRequest{.kind = JobKind::check, .number = 7}, JobRequest{.kind = JobKind::inspect}};
  const JobRequest& request = kRequests[std::to_integer<size_t>(bytes[0]) % kRequests.size()];
  const std::optional<Report> report = read(split(bytes.subspan(1)), request);
  if (!report) return;
  if (report->error) {
    check_problem(Problem::of(*report->error));
  } else {
    const JobOutcome& outcome = report->result->outcome;
    check_json(outcome.result);
    require_shown(outcome.sentence, "a sentence is printable");
    if (outcome.problem) check_problem(*outcome.problem);
    check_merge(outcome.merge, request);
    check_tensors(report->result->tensors, bytes.size());
  }
  const std::vector<std::string> first = encode(*report);
  const std::optional<Report> again = read(first, request);
  require(again && encode(*again) == first, "an accepted report is encoded and read without loss");
}

}  // namespace
}  // namespace depickle::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  depickle::fuzz::run(depickle::fuzz::input(data, size));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  return depickle::fuzz::mutate_reports(data, size, max_size, seed);
}
