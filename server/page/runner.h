// The threads that work on jobs.
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
  /// All of it must outlive the runner. `after` is called when a conversion has ended, to tidy up.
  Runner(const Settings& settings, const std::function<Account()>& account, Jobs& jobs, std::function<void()> after);
  /// stop()
  ~Runner() { stop(); }

  void start();
  /// Stops what runs, and waits for it; a later process begins it again.
  void stop();
  uint64_t deaths() const noexcept { return deaths_; }
  /// How many jobs there were of a kind, how long they took, and what they brought from the Hub and wrote.
  struct Sums {
    std::atomic<uint64_t> jobs = 0, milliseconds = 0, downloaded_bytes = 0, converted_bytes = 0;
  };
  const Sums& sums(Kind kind) const noexcept { return sums_[static_cast<size_t>(kind)]; }

 private:
  void run(Lane lane);
  void work_on(ActiveJob& live);

  const Settings& settings_;
  std::function<Account()> account_;
  Jobs& jobs_;
  std::function<void()> after_;
  std::vector<std::thread> threads_;
  std::atomic<uint64_t> deaths_ = 0;
  Sums sums_[4];
};

/// DATA/app/jobs/ID
std::filesystem::path job_folder(const Settings& settings, std::string_view id);

}  // namespace depickle::server::page
