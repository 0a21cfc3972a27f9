// The queue of jobs, in a database, with fair scheduling and events.
//
// queued → running → done, failed or cancelled. The end of a job is on the disk before it is published.
#pragma once

#include <atomic>
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
/// run in order.
class Jobs {
 public:
  /// Restores the jobs that an earlier process has not finished: a job without a token is queued again, a job with one
  /// fails, because tokens are not stored. `reader` is a second connection to the same file, so that reading does not
  /// wait for writing. Throws Error{io}.
  Jobs(std::shared_ptr<Database> database, std::shared_ptr<Database> reader, const PageLimits& limits,
      std::function<void(std::string_view)> log);

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

  /// Waits for the next job of a lane. Returns nullptr after stop().
  std::shared_ptr<ActiveJob> next(Lane lane);
  void phase(ActiveJob& active, std::string_view phase);
  void progress(ActiveJob& active, const JobProgress& progress);
  void done(ActiveJob& active, JobOutcome outcome, const std::vector<TensorRow>& tensors);
  void fail(ActiveJob& active, const Problem& problem, State state = State::failed);
  /// Queues a running job again, for the next process.
  void requeue(ActiveJob& active);

  /// Calls `action` and returns true unless a running job has a repository whose folder in the cache is `folder`. No
  /// job starts meanwhile, so `action` must be short.
  bool unless_cache_folder_is_used(std::string_view folder, const std::function<void()>& action);

  /// Makes next() return nullptr and asks running jobs to stop.
  void stop();

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
  /// Throws Error{limit} if the visitor, the address or the queue has the maximum of waiting jobs.
  void check_queue(const std::string& visitor, const std::string& address) const;
  void enqueue(const std::shared_ptr<ActiveJob>& active);
  std::vector<std::shared_ptr<ActiveJob>> in_order(const LaneQueue& queue) const;
  void send_positions(Lane lane);
  void send_state(ActiveJob& active);
  void end(ActiveJob& active, State state, JobOutcome outcome);
  void save(const Job& job);
  void remove(std::string_view id);

  std::shared_ptr<Database> database_, reader_;
  const PageLimits limits_;
  std::function<void(std::string_view)> log_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Lane, LaneQueue> queues_;
  std::map<std::string, std::shared_ptr<ActiveJob>, std::less<>> active_;
  bool stopping_ = false;
};

}  // namespace depickle::server::page
