// The progress and the outcome of a job.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "depickle/base/error.h"

namespace depickle::server::jobs {

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

/// A row of the tensor table. Names come from the model and are not trusted.
struct TensorRow {
  std::string name, dtype;
  std::vector<uint64_t> shape;
  uint64_t bytes = 0;
  std::string file, sha256, verdict, note;
};

struct JobResult {
  JobOutcome outcome;
  std::vector<TensorRow> tensors;
  uint64_t downloaded_bytes = 0;
  uint64_t converted_bytes = 0;  ///< size of the safetensors files that were written
};

}  // namespace depickle::server::jobs
