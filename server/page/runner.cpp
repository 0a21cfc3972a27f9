#include "server/page/runner.h"

#include <signal.h>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/page/meter.h"

namespace depickle::server::page {
namespace {

using Clock = std::chrono::steady_clock;

// The minimum number of threads for plans, checks and inspections.
constexpr unsigned kQuickThreads = 2;

[[noreturn]] void throw_stopped(ActiveJob::Stop why) {
  throw Error(Code::cancelled, "", why == ActiveJob::Stop::cancelled ? "cancelled" : "the server is stopping");
}

}  // namespace

std::filesystem::path job_folder(const Settings& settings, std::string_view id) {
  return settings.data / "app" / "jobs" / id;
}

Runner::Runner(
    const Settings& settings, const std::function<Account()>& account, Jobs& jobs, std::function<void()> after)
    : settings_(settings),
      account_(account),
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

void Runner::run(Lane lane) {
  while (std::shared_ptr<ActiveJob> active = jobs_.next(lane)) {
    const auto start = Clock::now();
    run_job(*active);
    Totals& totals = totals_[static_cast<size_t>(active->job.request.kind)];
    ++totals.jobs;
    totals.milliseconds +=
        static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count());
    if (lane == Lane::conversions) after_();
  }
}

JobResult Runner::do_job(ActiveJob& active, repo::Engine& engine, const std::function<void()>& check) {
  const Account account = account_();
  Meter meter([&](std::string_view phase) { jobs_.phase(active, phase); },
      [&](const JobProgress& progress) { jobs_.progress(active, progress); });
  const Work work{.settings = settings_,
      .account = account,
      .request = active.job.request,
      .token = active.token,
      .folder = job_folder(settings_, active.job.id),
      .engine = engine,
      .check = check,
      .enter =
          [&](std::string_view phase) {
            check();
            meter.enter(phase);
          },
      .expect = [&](uint64_t bytes) { meter.expect(bytes); },
      .progress =
          [&](const Step& step) {
            check();
            meter.report(step, Clock::now());
          }};
  JobResult result = do_work(work);
  Totals& totals = totals_[static_cast<size_t>(work.request.kind)];
  totals.downloaded_bytes += result.downloaded_bytes;
  totals.converted_bytes += result.converted_bytes;
  return result;
}

void Runner::run_job(ActiveJob& active) {
  const Clock::time_point deadline = Clock::now() + settings_.limits.job;
  auto check = [&] {
    if (active.stop != ActiveJob::Stop::no) throw_stopped(active.stop);
    if (Clock::now() >= deadline)
      throw Error(Code::limit, Reason::time_limit,
          fmt::format("the job took longer than {}", plural(settings_.limits.job.count(), "second")));
  };
  sandbox::SandboxOptions options = settings_.sandbox;
  options.check_cancelled = check;
  sandbox::Sandbox sandbox(std::move(options));
  try {
    JobResult result = do_job(active, sandbox, check);
    jobs_.done(active, std::move(result.outcome), result.tensors);
  } catch (const Error& error) {
    if (active.stop == ActiveJob::Stop::shutdown && active.token.empty())
      jobs_.requeue(active);
    else
      jobs_.fail(active, Problem::of(error),
          active.stop == ActiveJob::Stop::cancelled && error.code() == Code::cancelled ? State::cancelled
                                                                                       : State::failed);
  } catch (const std::exception& problem) {
    jobs_.fail(active, {"failed", fmt::format("internal server error: {}", printable(problem.what())),
                           "try again; see the server log"});
  }
  deaths_ += sandbox.failures();
}

}  // namespace depickle::server::page
