// A job: its request, state, progress and outcome.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/error.h"

namespace depickle::server::page {

enum class JobKind { plan, convert, check, inspect };
enum class State { queued, running, done, failed, cancelled };
std::string_view name(JobKind kind) noexcept;
std::string_view name(State state) noexcept;
std::optional<JobKind> find_kind(std::string_view name) noexcept;

/// A parsed and validated request for a job.
struct JobRequest {
  JobKind kind = JobKind::plan;
  std::string address;  ///< as typed
  std::string repo;     ///< "org/name"
  std::string revision;
  std::string path;                 ///< of a file; inspections only
  uint64_t number = 0;              ///< of the pull request; 0 if none
  bool pull_request = true;         ///< open one
  bool is_from_public_hub = false;  ///< the address is a URL of the public Hub, but the job uses this server's Hub

  friend bool operator==(const JobRequest&, const JobRequest&) = default;
};

struct Problem {
  std::string code, message, hint;
  static Problem of(const Error& error);
};

/// Progress of a phase: the bytes of all its files.
struct JobProgress {
  std::string phase, file;
  uint64_t done_bytes = 0, total_bytes = 0;
  double bytes_per_second = 0;
  std::optional<double> seconds_left;
};

/// The pull request that may be merged: the job has verified it at the commit `head`.
struct Merge {
  bool is_possible = false;
  std::string why_not;
  uint64_t number = 0;
  std::string head;
};

/// The outcome of a job.
struct JobOutcome {
  std::string result;              ///< a JSON object, compact
  std::string sentence;            ///< a summary for people
  std::string answer;              ///< "yes", "no" or "nothing"
  std::optional<Problem> problem;  ///< set if the job failed or was cancelled
  Merge merge;
};

struct Job {
  int64_t sequence = 0;  ///< row id in the database; increases
  std::string id;        ///< from new_id(); whoever knows the URL may read the job
  std::string visitor;   ///< hash of the cookie or the client address
  JobRequest request;
  bool has_token = false;
  unsigned attempts = 0;
  State state = State::queued;
  std::optional<uint64_t> position;  ///< in the queue, from 1
  std::string phase;
  std::optional<JobProgress> progress;
  int64_t created = 0, started = 0, ended = 0;  ///< milliseconds since 1970; 0 if not yet
  JobOutcome outcome;

  bool has_ended() const noexcept { return state != State::queued && state != State::running; }
};

/// Returns the phases of a job in order.
std::vector<std::string_view> phases(const JobRequest& request);

/// Returns the JSON object of the API, with the result if `with_result`.
std::string to_json(const Job& job, bool with_result);
std::string to_json(const JobProgress& progress);

/// Returns 20 random lower-case letters and digits. Nobody can guess an id.
std::string new_id();
bool is_id(std::string_view text) noexcept;

}  // namespace depickle::server::page
