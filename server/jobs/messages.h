// The messages between the server and the process of a job, over one socket.
//
// server → process: Confinement, Task, then at most one message to stop.
// process → server: phases and progress; then the tensors and the result, or an error. ReportReader checks them.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/jobs/outcome.h"
#include "server/jobs/request.h"

namespace depickle::server::jobs {

/// The descriptor of the socket in the process.
inline constexpr int kSocket = 3;

/// What the process may use. It confines itself before it reads the Task, which contains tokens.
struct Confinement {
  std::filesystem::path folder;   ///< of the job's files; exists, and belongs to this job only
  std::filesystem::path cache;    ///< of the Hub; exists
  uint64_t memory_bytes = 0;      ///< 0: no limit
  std::filesystem::path sandbox;  ///< the program that parses files in place of depickle-jobs, for tests; else empty
};

struct Task {
  JobRequest request;
  std::string token;          ///< the visitor's; may be empty
  std::string account_token;  ///< of the server's account, if the job needs it
  std::string hub;            ///< URL
  std::string version;
  bool is_embedded = false;
  bool is_personal = false;           ///< the job reads with the account's rights
  uint64_t max_model_bytes = 0;       ///< of the files to convert
  uint64_t sandbox_memory_bytes = 0;  ///< of each process that parses files
};

std::string encode(const Confinement& confinement);
std::string encode(const Task& task);
/// Throw Error{malformed}.
Confinement decode_confinement(std::string_view message);
Task decode_task(std::string_view message);

/// The tensor table of a job is in memory, in messages and in the database. The largest models have about 150,000
/// tensors.
inline constexpr uint64_t kMaxTensors = 500'000;
inline constexpr uint64_t kMaxTableBytes = 128 << 20;
inline constexpr uint64_t kMaxResultBytes = 64 << 20;
/// Of a message of the process.
inline constexpr uint64_t kMaxReportBytes = kMaxResultBytes + (1 << 20);

/// Returns the size of the texts and numbers of a row.
uint64_t size_bytes(const TensorRow& row);

/// The reports of a process.
std::string encode_phase(std::string_view phase);
std::string encode_progress(const JobProgress& progress);
std::string encode_error(const Error& error, uint64_t sandbox_deaths);
/// Passes the messages of a result to `send`. Changes names that are not UTF-8. Throws Error{limit} before the first
/// message if the result is larger than allowed.
void encode_result(
    const JobResult& result, uint64_t sandbox_deaths, const std::function<void(const std::string& message)>& send);

/// Reads the reports of one process, which may send anything. Every value is checked, so that the result can be stored
/// and shown; whether it is true, only the process knows. Needs at most kMaxTableBytes, kMaxTensors rows and two
/// messages of memory.
class ReportReader {
 public:
  using OnPhase = std::function<void(std::string_view)>;
  using OnProgress = std::function<void(const JobProgress&)>;
  ReportReader(JobRequest request, OnPhase on_phase, OnProgress on_progress);

  /// Takes a message. Returns whether it was the last one. Throws Error{malformed} if it is invalid or out of order.
  bool take(std::string_view message);

  /// After the last message: returns the result, or throws the error that the process sent.
  JobResult result();
  /// The number of sandboxed processes that died.
  uint64_t sandbox_deaths() const noexcept { return sandbox_deaths_; }

 private:
  void take_phase(std::string_view text);
  void take_progress(JobProgress progress);
  void take_tensors(std::vector<TensorRow> rows);
  void take_result(JobResult result);

  const JobRequest request_;
  OnPhase on_phase_;
  OnProgress on_progress_;
  std::string phase_;
  bool has_tensors_ = false, has_ended_ = false;
  uint64_t table_bytes_ = 0;
  uint64_t sandbox_deaths_ = 0;
  JobResult result_;
  std::optional<Error> error_;
};

}  // namespace depickle::server::jobs
