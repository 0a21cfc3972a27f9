// A job of the queue: its request, state, progress and outcome.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/jobs/outcome.h"
#include "server/jobs/request.h"

namespace depickle::server::page {

using jobs::find_kind;
using jobs::JobKind;
using jobs::JobOutcome;
using jobs::JobProgress;
using jobs::JobRequest;
using jobs::JobResult;
using jobs::Merge;
using jobs::Problem;
using jobs::TensorRow;

enum class State { queued, running, done, failed, cancelled };
std::string_view name(State state) noexcept;

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

/// Returns the JSON object of the API, with the result if `with_result`.
std::string to_json(const Job& job, bool with_result);
std::string to_json(const JobProgress& progress);

/// Returns 20 random lower-case letters and digits. Nobody can guess an id.
std::string new_id();
bool is_id(std::string_view text) noexcept;

}  // namespace depickle::server::page
