#include "server/page/runner.h"

#include <signal.h>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/page/meter.h"

namespace depickle::server::page {
namespace {

using Clock = std::chrono::steady_clock;

/// At least this many plans, checks and inspections go on at once.
constexpr unsigned kQuickThreads = 2;

[[noreturn]] void stop_for(ActiveJob::Stop why) {
  throw Error(Code::cancelled, "", why == ActiveJob::Stop::cancelled ? "cancelled" : "the server stops");
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
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the program's first thread
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
  while (std::shared_ptr<ActiveJob> live = jobs_.next(lane)) {
    const auto began = Clock::now();
    work_on(*live);
    Sums& sums = sums_[static_cast<size_t>(live->job.wish.kind)];
    ++sums.jobs;
    sums.milliseconds +=
        static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began).count());
    if (lane == Lane::conversions) after_();
  }
}

void Runner::work_on(ActiveJob& live) {
  const Clock::time_point deadline = Clock::now() + settings_.limits.job;
  auto check = [&] {
    if (live.stop != ActiveJob::Stop::no) stop_for(live.stop);
    if (Clock::now() >= deadline)
      throw Error(Code::limit, Reason::time_limit,
          fmt::format("it took longer than {}", plural(settings_.limits.job.count(), "second")));
  };
  sandbox::SandboxOptions options = settings_.sandbox;
  options.check_cancelled = check;
  sandbox::Sandbox sandbox(std::move(options));
  try {
    const Account account = account_();
    Meter meter([&](std::string_view phase) { jobs_.phase(live, phase); },
        [&](const Measure& measure) { jobs_.progress(live, measure); });
    const Work work{.settings = settings_,
        .account = account,
        .wish = live.job.wish,
        .token = live.token,
        .folder = job_folder(settings_, live.job.id),
        .engine = sandbox,
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
    JobResult worked = do_work(work);
    Sums& sums = sums_[static_cast<size_t>(work.wish.kind)];
    sums.downloaded_bytes += worked.downloaded_bytes;
    sums.converted_bytes += worked.converted_bytes;
    jobs_.done(live, std::move(worked.answer), worked.tensors);
  } catch (const Error& error) {
    if (live.stop == ActiveJob::Stop::shutdown && live.token.empty())
      jobs_.put_back(live);
    else
      jobs_.fail(live, Problem::of(error),
          live.stop == ActiveJob::Stop::cancelled && error.code() == Code::cancelled ? State::cancelled
                                                                                     : State::failed);
  } catch (const std::exception& problem) {
    jobs_.fail(live,
        {"failed", fmt::format("the server failed: {}", printable(problem.what())), "its log says more; try again"});
  }
  deaths_ += sandbox.failures();
}

}  // namespace depickle::server::page
