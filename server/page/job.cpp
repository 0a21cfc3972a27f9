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
constexpr std::array<std::string_view, 5> kStates = {"queued", "running", "done", "failed", "cancelled"};

void write_time(JsonWriter& json, std::string_view key, int64_t milliseconds) {
  json.key(key);
  milliseconds ? json.value(iso_date(milliseconds)) : json.null();
}

}  // namespace

std::string_view name(State state) noexcept { return kStates[static_cast<size_t>(state)]; }

std::string to_json(const JobProgress& progress) {
  std::string out;
  JsonWriter json(out, JsonWriter::Style::compact);
  json.object().key("phase").value(progress.phase).key("file").value(progress.file);
  json.key("done_bytes").value(progress.done_bytes).key("total_bytes").value(progress.total_bytes);
  json.key("bytes_per_second").value(progress.bytes_per_second).key("seconds_left");
  progress.seconds_left ? json.value(*progress.seconds_left) : json.null();
  json.end();
  return out;
}

std::string to_json(const Job& job, bool with_result) {
  std::string out;
  JsonWriter json(out, JsonWriter::Style::compact);
  json.object().key("id").value(job.id).key("kind").value(name(job.request.kind));
  json.key("address").value(job.request.address).key("repo").value(job.request.repo);
  json.key("revision").value(job.request.revision).key("number");
  job.request.number ? json.value(job.request.number) : json.null();
  json.key("pull_request").value(job.request.pull_request).key("state").value(name(job.state)).key("position");
  job.position ? json.value(*job.position) : json.null();
  json.key("phase").value(job.phase).key("phases").array();
  for (std::string_view phase : phases(job.request)) json.value(phase);
  json.end();
  write_time(json, "created", job.created);
  write_time(json, "started", job.started);
  write_time(json, "ended", job.ended);
  json.key("sentence").value(job.outcome.sentence).key("answer");
  job.outcome.answer.empty() ? json.null() : json.value(job.outcome.answer);
  json.key("error");
  if (const auto& problem = job.outcome.problem) {
    json.object().key("code").value(problem->code).key("message").value(problem->message);
    json.key("hint").value(problem->hint).end();
  } else {
    json.null();
  }
  json.end();
  out.pop_back();  // the closing brace, to append members that are JSON already
  out += ",\"progress\":" + (job.progress ? to_json(*job.progress) : "null");
  if (with_result) out += ",\"result\":" + (job.outcome.result.empty() ? "null" : job.outcome.result);
  return out + "}";
}

std::string new_id() { return random_text(kLetters, kIdLength); }

bool is_id(std::string_view text) noexcept {
  return text.size() == kIdLength && text.find_first_not_of(kLetters) == std::string_view::npos;
}

}  // namespace depickle::server::page
