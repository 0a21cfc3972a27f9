// The threads that run the jobs.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "server/page/jobs.h"
#include "server/page/work.h"

namespace depickle::server::page {

class Runner {
 public:
  /// The arguments must outlive the runner. Calls `after` when a conversion has ended.
  Runner(const Settings& settings, const std::function<Account()>& account, Jobs& jobs, std::function<void()> after);
  ~Runner() { stop(); }

  void start();
  /// Stops the running jobs and waits for them. Jobs without a token are queued again for the next process.
  void stop();
  uint64_t deaths() const noexcept { return deaths_; }
  /// Totals of the jobs of one kind.
  struct Totals {
    std::atomic<uint64_t> jobs = 0, milliseconds = 0, downloaded_bytes = 0, converted_bytes = 0;
  };
  const Totals& totals(JobKind kind) const noexcept { return totals_[static_cast<size_t>(kind)]; }

 private:
  void run(Lane lane);
  void run_job(ActiveJob& active);
  JobResult do_job(ActiveJob& active, repo::Engine& engine, const std::function<void()>& check);

  const Settings& settings_;
  std::function<Account()> account_;
  Jobs& jobs_;
  std::function<void()> after_;
  std::vector<std::thread> threads_;
  std::atomic<uint64_t> deaths_ = 0;
  Totals totals_[4];
};

/// Returns DATA/app/jobs/ID.
std::filesystem::path job_folder(const Settings& settings, std::string_view id);

}  // namespace depickle::server::page
