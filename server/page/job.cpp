#include "server/page/job.h"

#include <array>

#include <fmt/format.h>

#include "depickle/base/json.h"
#include "server/base/random_id.h"
#include "server/base/time.h"

namespace depickle::server::page {
namespace {

constexpr size_t kIdLength = 20;
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::array<std::string_view, 4> kKinds = {"plan", "convert", "check", "inspect"};
constexpr std::array<std::string_view, 5> kStates = {"queued", "running", "done", "failed", "cancelled"};

void write_time(JsonWriter& json, std::string_view key, int64_t milliseconds) {
  json.key(key);
  milliseconds ? json.value(iso_date(milliseconds)) : json.null();
}

}  // namespace

std::string_view name(Kind kind) noexcept { return kKinds[static_cast<size_t>(kind)]; }
std::string_view name(State state) noexcept { return kStates[static_cast<size_t>(state)]; }

std::optional<Kind> find_kind(std::string_view name) noexcept {
  for (size_t i = 0; i < kKinds.size(); ++i)
    if (kKinds[i] == name) return static_cast<Kind>(i);
  return std::nullopt;
}

namespace {

// What a visitor of the page can do; the options of the program do not help there.
std::string_view remedy(Reason reason) {
  switch (reason) {
    case Reason::unsupported_dtype:
      return "the command line can skip these tensors: depickle convert --skip-unsupported";
    case Reason::ambiguous_root: return "the command line can choose one of them: depickle convert --root";
    case Reason::checksum_mismatch: return "upload the file again";
    case Reason::time_limit: return "convert it on your own machine, or ask the operator of this server for more time";
    case Reason::model_too_large: return "convert it on your own machine: depickle convert ORG/NAME --pr";
    default: return "";
  }
}

}  // namespace

Problem Problem::of(const Error& error) {
  const Where& where = error.where();
  const std::string place = !where.file.empty() || !where.tensor.empty() || where.offset_bytes ? error.what() : "";
  return {std::string(depickle::name(error.code())), place.empty() ? error.message() : place,
      remedy(error.reason()).empty() ? error.hint() : std::string(remedy(error.reason()))};
}

std::vector<std::string_view> phases(const JobRequest& wish) {
  switch (wish.kind) {
    case Kind::plan:
    case Kind::inspect: return {"resolve", "read"};
    case Kind::check: return {"resolve", "read", "compare"};
    case Kind::convert: break;
  }
  if (!wish.pull_request) return {"resolve", "download", "read", "convert", "compare"};
  return {"resolve", "download", "read", "convert", "compare", "upload", "pull request"};
}

std::string to_json(const Measure& measure) {
  std::string out;
  JsonWriter json(out, JsonWriter::Style::compact);
  json.object().key("phase").value(measure.phase).key("file").value(measure.file);
  json.key("done_bytes").value(measure.done_bytes).key("total_bytes").value(measure.total_bytes);
  json.key("bytes_per_second").value(measure.bytes_per_second).key("seconds_left");
  measure.seconds_left ? json.value(*measure.seconds_left) : json.null();
  json.end();
  return out;
}

std::string to_json(const Job& job, bool with_result) {
  std::string out;
  JsonWriter json(out, JsonWriter::Style::compact);
  json.object().key("id").value(job.id).key("kind").value(name(job.wish.kind));
  json.key("address").value(job.wish.address).key("repo").value(job.wish.repo);
  json.key("revision").value(job.wish.revision).key("number");
  job.wish.number ? json.value(job.wish.number) : json.null();
  json.key("pull_request").value(job.wish.pull_request).key("state").value(name(job.state)).key("position");
  job.position ? json.value(*job.position) : json.null();
  json.key("phase").value(job.phase).key("phases").array();
  for (std::string_view phase : phases(job.wish)) json.value(phase);
  json.end();
  write_time(json, "created", job.created);
  write_time(json, "started", job.started);
  write_time(json, "ended", job.ended);
  json.key("sentence").value(job.answer.sentence).key("answer");
  job.answer.answer.empty() ? json.null() : json.value(job.answer.answer);
  json.key("error");
  if (const auto& problem = job.answer.problem) {
    json.object().key("code").value(problem->code).key("message").value(problem->message);
    json.key("hint").value(problem->hint).end();
  } else {
    json.null();
  }
  json.end();
  out.pop_back();  // to add what is JSON already
  out += ",\"progress\":" + (job.measure ? to_json(*job.measure) : "null");
  if (with_result) out += ",\"result\":" + (job.answer.result.empty() ? "null" : job.answer.result);
  return out + "}";
}

std::string new_id() { return random_text(kLetters, kIdLength); }

bool is_id(std::string_view text) noexcept {
  return text.size() == kIdLength && text.find_first_not_of(kLetters) == std::string_view::npos;
}

}  // namespace depickle::server::page
