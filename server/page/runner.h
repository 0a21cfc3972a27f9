// The threads that run the jobs, each in a process of its own.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

#include "server/page/jobs.h"
#include "server/page/settings.h"

namespace depickle::server::page {

class Runner {
 public:
  /// The arguments must outlive the runner. Calls `after`, which must not throw, when a conversion has ended.
  Runner(const Settings& settings, Jobs& jobs, std::function<void()> after);
  ~Runner() { stop(); }

  void start();
  /// Stops the running jobs and waits for them. Jobs without a token are queued again for the next process.
  void stop();
  /// The number of sandboxed processes that died.
  uint64_t sandbox_deaths() const noexcept { return sandbox_deaths_; }
  /// The number of processes of jobs that died.
  uint64_t process_deaths() const noexcept { return process_deaths_; }
  /// Totals of the jobs of one kind.
  struct Totals {
    std::atomic<uint64_t> jobs = 0, milliseconds = 0, downloaded_bytes = 0, converted_bytes = 0;
  };
  const Totals& totals(JobKind kind) const noexcept { return totals_[static_cast<size_t>(kind)]; }

 private:
  void run(Lane lane) noexcept;
  /// Returns the next job, or nullptr after a stop. Tries again after errors.
  std::shared_ptr<ActiveJob> next(Lane lane);
  struct End {
    std::function<void()> save;
    bool keeps_files = false;  ///< in the folder of the job
  };
  /// Runs the job and saves its end.
  void run_job(ActiveJob& active);
  End run_to_end(ActiveJob& active);
  JobResult work(ActiveJob& active);
  /// Returns the end of a job that failed, was cancelled, or is queued again because the server stops.
  End failure(ActiveJob& active, Problem problem, State state);
  /// Repeats `save` until it succeeds or the server stops.
  void save(const ActiveJob& active, const std::function<void()>& save);

  const Settings& settings_;
  Jobs& jobs_;
  std::function<void()> after_;
  std::vector<std::thread> threads_;
  std::atomic<uint64_t> sandbox_deaths_ = 0, process_deaths_ = 0;
  Totals totals_[jobs::kJobKinds];
};

/// Returns DATA/app/jobs/ID.
std::filesystem::path job_folder(const Settings& settings, std::string_view id);
/// Returns DATA/app/cache, the cache of the Hub client.
std::filesystem::path cache_folder(const Settings& settings);

}  // namespace depickle::server::page
