// A job: what was asked for, how far it is, what came of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/error.h"

namespace depickle::server::page {

enum class Kind { plan, convert, check, inspect };
enum class State { queued, running, done, failed, cancelled };
std::string_view name(Kind kind) noexcept;
std::string_view name(State state) noexcept;
std::optional<Kind> find_kind(std::string_view name) noexcept;

/// What a visitor asks for, read and checked.
struct JobRequest {
  Kind kind = Kind::plan;
  std::string address;  ///< as it was written
  std::string repo;     ///< "org/name"
  std::string revision;
  std::string path;          ///< of a file in it; for inspections
  uint64_t number = 0;       ///< of the pull request; 0: none
  bool pull_request = true;  ///< open one
  bool elsewhere = false;    ///< the address was one of the public Hub's, and is read at this one

  friend bool operator==(const JobRequest&, const JobRequest&) = default;
};

struct Problem {
  std::string code, message, hint;
  static Problem of(const Error& error);
};

/// Bytes of the phase, all its files together.
struct Measure {
  std::string phase, file;
  uint64_t done_bytes = 0, total_bytes = 0;
  double bytes_per_second = 0;
  std::optional<double> seconds_left;
};

/// Which pull request may be merged from here: proven identical at `head`.
struct Merge {
  bool is_possible = false;
  std::string why_not;
  uint64_t number = 0;
  std::string head;  ///< commit
};

/// What a job's work ends in.
struct Response {
  std::string result;              ///< a JSON object, compact
  std::string sentence;            ///< for people
  std::string answer;              ///< "yes", "no" or "nothing"
  std::optional<Problem> problem;  ///< it has failed, with a result
  Merge merge;
};

struct Job {
  int64_t sequence = 0;  ///< the database's key; grows
  std::string id;        ///< 20 letters and digits that nobody can guess: who has the address may read the job
  std::string visitor;   ///< hash of the cookie, or of the address
  JobRequest wish;
  bool has_token = false;
  unsigned attempts = 0;
  State state = State::queued;
  std::optional<uint64_t> position;  ///< 1: next
  std::string phase;
  std::optional<Measure> measure;
  int64_t created = 0, started = 0, ended = 0;  ///< milliseconds since 1970; 0: not yet
  Response answer;                              ///< `problem` set where it failed or was cancelled

  bool has_ended() const noexcept { return state != State::queued && state != State::running; }
};

/// The phases of such a job, in order.
std::vector<std::string_view> phases(const JobRequest& wish);

/// The JSON object of the API; with `with_result` the result too.
std::string to_json(const Job& job, bool with_result);
std::string to_json(const Measure& measure);

/// Returns 20 random lower-case letters and digits. Nobody can guess an id.
std::string new_id();
bool is_id(std::string_view text) noexcept;

}  // namespace depickle::server::page
