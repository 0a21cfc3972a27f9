// The queue: jobs in a database, taken in fair turns, told to those who watch.
//
// queued → running → done, failed or cancelled. What has ended is on the disk before anybody hears of it.
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

/// The file of jobs, and its tables; for Jobs and Tensors. Throws Error{io}.
std::shared_ptr<Database> open_database(const std::filesystem::path& data);

/// Conversions wait for each other; plans, checks and inspections do not wait for them.
enum class Lane { quick, conversions };
constexpr Lane lane_of(Kind kind) noexcept { return kind == Kind::convert ? Lane::conversions : Lane::quick; }

/// A job that has not ended. `job` and `token` belong to Jobs; who works on it reads what never changes: id, wish, visitor.
struct ActiveJob {
  enum class Stop { no, cancelled, shutdown };
  explicit ActiveJob(Job job_, std::string token_);
  ~ActiveJob();

  Job job;
  std::string token;  ///< the visitor's; wiped with the job. Nowhere else
  std::shared_ptr<Channel> channel;
  std::atomic<Stop> stop = Stop::no;
};

/// Safe to use from several threads. Turns: one job of each visitor who waits, then the next of each; a visitor's own in their order.
class Jobs {
 public:
  /// Takes up what an earlier process has left: what needs no token is done again, what does says so. Throws Error{io}.
  /// `reader` is another connection to the same file: looking does not wait for writing.
  Jobs(std::shared_ptr<Database> database, std::shared_ptr<Database> reader, const Limits& limits,
      std::function<void(std::string_view)> log);

  struct Added {
    Job job;
    bool is_new;
  };
  /// The visitor's same job where it is queued or running already. Throws Error{limit} where the queue is full.
  Added add(const JobRequest& wish, const std::string& visitor, const std::string& token);

  /// With its result. Empty where there is none.
  std::optional<Job> find(std::string_view id) const;
  /// Newest first, without results; those older than `before` where it is not empty.
  std::vector<Job> list(std::string_view visitor, uint64_t limit, std::string_view before) const;
  /// What happens to the job from now on; empty where it has ended (or never was).
  std::shared_ptr<Channel> channel(std::string_view id) const;
  /// Ends a queued job at once, tells a running one to stop. False where it has ended.
  bool cancel(std::string_view id);

  /// For who works: the next job of a lane, waited for; nullptr when the server stops.
  std::shared_ptr<ActiveJob> next(Lane lane);
  void phase(ActiveJob& live, std::string_view phase);
  void progress(ActiveJob& live, const Measure& measure);
  void done(ActiveJob& live, Response answer, const std::vector<TensorRow>& tensors);
  void fail(ActiveJob& live, const Problem& problem, State state = State::failed);
  /// The server stops: a later process begins it again.
  void put_back(ActiveJob& live);

  /// next() gives no more; running jobs are told to stop.
  void stop();

  /// Old jobs leave, and those beyond the number that is kept. → the ids of the gone.
  std::vector<std::string> forget_old();
  std::map<State, uint64_t> count() const;

 private:
  using Queue = std::map<std::string, std::deque<std::shared_ptr<ActiveJob>>>;
  struct Waiting {
    std::list<std::string> turns;  ///< visitors who wait, next first
    Queue of;
  };
  void take_up();
  void enqueue(const std::shared_ptr<ActiveJob>& live);
  std::vector<std::shared_ptr<ActiveJob>> in_order(const Waiting& waiting) const;
  void tell_positions(Lane lane);
  void tell_state(ActiveJob& live);
  void end(ActiveJob& live, State state, Response answer);
  void save(const Job& job);
  void forget(std::string_view id);

  std::shared_ptr<Database> database_, reader_;
  const Limits limits_;
  std::function<void(std::string_view)> log_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Lane, Waiting> waiting_;
  std::map<std::string, std::shared_ptr<ActiveJob>, std::less<>> live_;
  bool stopping_ = false;
};

}  // namespace depickle::server::page
