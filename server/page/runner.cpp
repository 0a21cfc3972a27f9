#include "server/page/runner.h"

#include <signal.h>

#include <algorithm>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/page/job_process.h"

namespace depickle::server::page {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// The minimum number of threads for plans, checks and inspections.
constexpr unsigned kQuickThreads = 2;
constexpr milliseconds kProgressInterval{50}, kFirstPause{250}, kMaxPause{30'000};

[[noreturn]] void throw_stopped(ActiveJob::Stop why) {
  throw Error(Code::cancelled, "", why == ActiveJob::Stop::cancelled ? "cancelled" : "the server is stopping");
}

/// Publishes the newest progress, at most 20 times per second, however often the process reports it.
class ProgressRelay {
 public:
  explicit ProgressRelay(std::function<void(const JobProgress&)> publish) : publish_(std::move(publish)) {}

  void set(const JobProgress& progress) {
    newest_ = progress;
    flush_if_due();
  }
  void flush_if_due() {
    if (newest_ && Clock::now() - published_ >= kProgressInterval) flush();
  }
  void flush() {
    if (newest_) publish_(*newest_);
    newest_.reset();
    published_ = Clock::now();
  }

 private:
  std::function<void(const JobProgress&)> publish_;
  std::optional<JobProgress> newest_;
  Clock::time_point published_;
};

/// Creates the folders that the process may write to. Removes the files of an attempt before a restart.
jobs::Confinement make_folders(const Settings& settings, std::string_view id) {
  const jobs::Confinement confinement{.folder = fs::absolute(job_folder(settings, id)),
      .cache = fs::absolute(cache_folder(settings)),
      .memory_bytes = settings.job_program.memory_bytes,
      .sandbox = settings.job_program.sandbox};
  fs::remove_all(confinement.folder);
  fs::create_directories(confinement.folder);
  fs::create_directories(confinement.cache);
  return confinement;
}

jobs::Task task_of(const Settings& settings, const ActiveJob& active) {
  const JobRequest& request = active.job.request;
  // The job of a visitor gets the account's token only if it acts as the account.
  const bool opens = request.kind == JobKind::convert && request.pull_request;
  const bool needs_account = active.token.empty() && (settings.is_personal || opens);
  return {.request = request,
      .token = active.token,
      .account_token = needs_account ? settings.token : "",
      .hub = settings.hub,
      .version = settings.version,
      .is_embedded = settings.is_embedded,
      .is_personal = settings.is_personal,
      .max_model_bytes = settings.limits.model_bytes,
      .sandbox_memory_bytes = settings.job_program.sandbox_memory_bytes};
}

}  // namespace

fs::path job_folder(const Settings& settings, std::string_view id) { return settings.data / "app" / "jobs" / id; }
fs::path cache_folder(const Settings& settings) { return settings.data / "app" / "cache"; }

Runner::Runner(const Settings& settings, Jobs& jobs, std::function<void()> after)
    : settings_(settings),
      jobs_(jobs),
      after_(std::move(after)) {}

void Runner::start() {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the main thread
  for (unsigned i = 0; i < settings_.limits.conversions; ++i) threads_.emplace_back([this] { run(Lane::conversions); });
  for (unsigned i = 0; i < std::max(kQuickThreads, settings_.limits.conversions); ++i)
    threads_.emplace_back([this] { run(Lane::quick); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Runner::stop() {
  jobs_.stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Runner::run(Lane lane) noexcept {
  while (const std::shared_ptr<ActiveJob> active = next(lane)) {
    const auto start = Clock::now();
    try {
      run_job(*active);
    } catch (const std::exception& problem) {  // out of memory; the job stays in the database
      settings_.log(fmt::format("job {}: {}", active->job.id, printable(problem.what())));
    }
    Totals& totals = totals_[static_cast<size_t>(active->job.request.kind)];
    ++totals.jobs;
    totals.milliseconds +=
        static_cast<uint64_t>(std::chrono::duration_cast<milliseconds>(Clock::now() - start).count());
    if (lane == Lane::conversions) after_();
  }
}

std::shared_ptr<ActiveJob> Runner::next(Lane lane) {
  for (milliseconds pause = kFirstPause;; pause = std::min(2 * pause, kMaxPause)) {
    try {
      return jobs_.next(lane);
    } catch (const std::exception& problem) {
      settings_.log(fmt::format("the next job cannot be started: {}", printable(problem.what())));
      jobs_.wait_for_stop(pause);
    }
  }
}

JobResult Runner::work(ActiveJob& active) {
  const Clock::time_point deadline = Clock::now() + settings_.limits.job;
  ProgressRelay relay([&](const JobProgress& progress) { jobs_.progress(active, progress); });
  auto check = [&] {
    relay.flush_if_due();
    if (active.stop != ActiveJob::Stop::no) throw_stopped(active.stop);
    if (Clock::now() >= deadline)
      throw Error(Code::limit, Reason::time_limit,
          fmt::format("the job took longer than {}", plural(settings_.limits.job.count(), "second")));
  };
  jobs::ReportReader reports(
      active.job.request,
      [&](std::string_view phase) {
        relay.flush();
        jobs_.phase(active, phase);
      },
      [&](const JobProgress& progress) { relay.set(progress); });
  const jobs::Confinement confinement = make_folders(settings_, active.job.id);
  JobProcess process(settings_.job_program);
  try {
    JobResult result = process.run(confinement, task_of(settings_, active), reports, check);
    relay.flush();
    sandbox_deaths_ += reports.sandbox_deaths();
    return result;
  } catch (...) {
    sandbox_deaths_ += reports.sandbox_deaths();
    throw;
  }
}

void Runner::run_job(ActiveJob& active) {
  const End end = run_to_end(active);
  save(active, end.save);
  std::error_code ignored;
  if (end.keeps_files)
    fs::remove(job_folder(settings_, active.job.id), ignored);  // fails unless it is empty
  else
    fs::remove_all(job_folder(settings_, active.job.id), ignored);
}

Runner::End Runner::run_to_end(ActiveJob& active) {
  try {
    const auto result = std::make_shared<const JobResult>(work(active));
    Totals& totals = totals_[static_cast<size_t>(active.job.request.kind)];
    totals.downloaded_bytes += result->downloaded_bytes;
    totals.converted_bytes += result->converted_bytes;
    return {.save = [this, &active, result] { jobs_.done(active, result->outcome, result->tensors); },
        .keeps_files = !result->outcome.problem};
  } catch (const Error& error) {
    const bool is_cancelled = active.stop == ActiveJob::Stop::cancelled && error.code() == Code::cancelled;
    return failure(active, Problem::of(error), is_cancelled ? State::cancelled : State::failed);
  } catch (const ProcessDied& died) {
    ++process_deaths_;
    if (!died.output.empty())
      settings_.log(fmt::format("job {}: its process wrote: {}", active.job.id, quoted(died.output, 8000)));
    return failure(
        active, {"failed", died.what(), "start the job again; if it fails again, see the server log"}, State::failed);
  } catch (const std::exception& problem) {
    return failure(active,
        {"failed", fmt::format("internal server error: {}", printable(problem.what())),
            "try again; see the server log"},
        State::failed);
  }
}

Runner::End Runner::failure(ActiveJob& active, Problem problem, State state) {
  if (active.stop == ActiveJob::Stop::shutdown && active.token.empty())
    return {.save = [this, &active] { jobs_.requeue(active); }};
  return {.save = [this, &active, problem = std::move(problem), state] { jobs_.fail(active, problem, state); }};
}

void Runner::save(const ActiveJob& active, const std::function<void()>& save) {
  bool is_last = false;
  for (milliseconds pause = kFirstPause;; pause = std::min(2 * pause, kMaxPause)) {
    try {
      return save();
    } catch (const std::exception& problem) {
      settings_.log(fmt::format("job {}: its end cannot be saved: {}", active.job.id, printable(problem.what())));
    }
    if (is_last) return;  // after a restart the job is queued again
    is_last = jobs_.wait_for_stop(pause);
  }
}

}  // namespace depickle::server::page
