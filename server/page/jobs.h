// The queue of jobs, in a database, with fair scheduling and events.
//
// queued → running → done, failed or cancelled. Every state is on the disk before it is published.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/page/events.h"
#include "server/page/job.h"
#include "server/page/job_table.h"
#include "server/page/settings.h"
#include "server/page/tensors.h"

namespace depickle::server::page {

/// Opens the database of Jobs and Tensors, DATA/app.sqlite. Throws Error{io}.
std::shared_ptr<Database> open_database(const std::filesystem::path& data);

/// Plans, checks and inspections do not wait for conversions.
enum class Lane { quick, conversions };
constexpr Lane lane_of(JobKind kind) noexcept { return kind == JobKind::convert ? Lane::conversions : Lane::quick; }

/// A job that has not ended. Jobs owns `job` and `token`; other threads may read only id, request and visitor, which
/// never change.
struct ActiveJob {
  enum class Stop { no, cancelled, shutdown };
  ActiveJob(Job job_, std::string address_, std::string token_);
  ~ActiveJob();

  Job job;
  const std::string address;  ///< of the client; empty after a restart
  std::string token;          ///< the visitor's; never stored elsewhere, and wiped by the destructor
  std::shared_ptr<Channel> channel;
  std::atomic<Stop> stop = Stop::no;
};

/// Safe to use from several threads. Visitors take turns: one job of each, then the next of each. The jobs of a visitor
/// run in order. A change of the queue is first saved, then made, under `write_mutex_`; if it cannot be saved, it
/// throws Error{io} and the queue is unchanged. Reading takes only `mutex_`, under which nothing is written to the
/// disk.
class Jobs {
 public:
  /// Restores the jobs that an earlier process has not finished: a job without a token is queued again, a job with one
  /// fails, because tokens are not stored. Throws Error{io}.
  Jobs(const std::shared_ptr<Database>& database, const PageLimits& limits, std::function<void(std::string_view)> log);

  struct Added {
    Job job;
    bool is_new;
  };
  /// Queues a job. `address` is the client's, whose waiting jobs are limited too: a client can get any number of
  /// cookies. Returns the visitor's job with the same request and token instead if one has not ended. Throws
  /// Error{limit} if the queue is full.
  Added add(
      const JobRequest& request, const std::string& visitor, const std::string& address, const std::string& token);

  /// Returns a job with its result, or nullopt.
  std::optional<Job> find(std::string_view id) const;
  /// Returns jobs without results, the newest first; only those older than the job `before` if it is not empty.
  std::vector<Job> list(std::string_view visitor, uint64_t limit, std::string_view before) const;
  /// Returns the events of a job, or nullptr if it has ended or does not exist.
  std::shared_ptr<Channel> channel(std::string_view id) const;
  /// Ends a queued job, or asks a running one to stop. Returns false if it has ended or does not exist.
  bool cancel(std::string_view id);

  /// Waits for the next job of a lane. Returns nullptr after stop(). Throws Error{io} if its start cannot be saved.
  std::shared_ptr<ActiveJob> next(Lane lane);
  void phase(ActiveJob& active, std::string_view phase);
  void progress(ActiveJob& active, const JobProgress& progress);
  /// The end of a job. If one of the three throws Error{io}, nothing has changed, and the call may be repeated.
  void done(ActiveJob& active, const JobOutcome& outcome, const std::vector<TensorRow>& tensors);
  void fail(ActiveJob& active, const Problem& problem, State state = State::failed);
  /// Queues a running job again, for the next process.
  void requeue(ActiveJob& active);

  /// Calls `action` and returns true unless a running job has a repository whose folder in the cache is `folder`. No
  /// job starts meanwhile, so `action` must be short.
  bool unless_cache_folder_is_used(std::string_view folder, const std::function<void()>& action);

  /// Makes next() return nullptr and asks running jobs to stop.
  void stop();
  /// Waits for stop(), at most `timeout`. Returns whether it was called.
  bool wait_for_stop(std::chrono::milliseconds timeout);

  /// Deletes ended jobs beyond the limits of age and number. Returns their ids.
  std::vector<std::string> remove_old();
  /// Deletes the oldest ended jobs, at most `count` and none that ended in the last hour. Returns their ids.
  std::vector<std::string> remove_oldest(uint64_t count);
  /// Returns the size of the database of jobs and tensors.
  uint64_t database_bytes() const;
  std::map<State, uint64_t> count() const;

 private:
  struct LaneQueue {
    std::list<std::string> visitors;                                     ///< with waiting jobs, the next first
    std::map<std::string, std::deque<std::shared_ptr<ActiveJob>>> jobs;  ///< by visitor
  };
  void restore();
  /// Ends a queued or running job. `writing` is a lock of write_mutex_.
  void end(std::unique_lock<std::mutex> writing, ActiveJob& active, State state, JobOutcome outcome);
  Job copy(const ActiveJob& active) const;
  /// Returns the job or nullptr. Sets `stop` if it is running.
  std::shared_ptr<ActiveJob> ask_to_stop(std::string_view id);

  // The caller has locked mutex_.
  std::optional<Job> find_same(const JobRequest& request, const std::string& visitor, const std::string& token) const;
  /// Throws Error{limit} if the visitor, the address or the queue has the maximum of waiting jobs.
  void check_queue(const std::string& visitor, const std::string& address) const;
  void enqueue(const std::shared_ptr<ActiveJob>& active);
  std::shared_ptr<ActiveJob> first(const LaneQueue& queue) const;
  void remove_first(LaneQueue& queue);
  void remove_queued(const ActiveJob& active);
  std::vector<std::shared_ptr<ActiveJob>> in_order(const LaneQueue& queue) const;
  void send_positions(Lane lane);
  void send_state(ActiveJob& active);

  JobTable table_;
  Tensors tensors_;
  const PageLimits limits_;
  std::function<void(std::string_view)> log_;
  std::mutex write_mutex_;  ///< locked before mutex_
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Lane, LaneQueue> queues_;
  std::map<std::string, std::shared_ptr<ActiveJob>, std::less<>> active_;
  bool stopping_ = false;
};

}  // namespace depickle::server::page
