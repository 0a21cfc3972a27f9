#include "server/page/jobs.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/address.h"
#include "server/base/time.h"
#include "server/http/access_guard.h"
#include "server/http/addresses.h"

namespace depickle::server::page {
namespace {

constexpr unsigned kMaxAttempts = 2;

std::string describe(const JobRequest& request) {
  std::string text = fmt::format("{} {}", name(request.kind), request.repo);
  if (!request.revision.empty()) text += "@" + printable(request.revision);
  if (request.number) text += fmt::format(" #{}", request.number);
  return text;
}

}  // namespace

// Event ids must be larger than those of an earlier process, which published less than one event per millisecond.
ActiveJob::ActiveJob(Job job_, std::string address_, std::string token_)
    : job(std::move(job_)),
      address(std::move(address_)),
      token(std::move(token_)),
      channel(std::make_shared<Channel>(static_cast<uint64_t>(now_ms()))) {}

ActiveJob::~ActiveJob() { ::explicit_bzero(token.data(), token.size()); }

Jobs::Jobs(
    const std::shared_ptr<Database>& database, const PageLimits& limits, std::function<void(std::string_view)> log)
    : table_(database),
      tensors_(database),
      limits_(limits),
      log_(std::move(log)) {
  restore();
}

void Jobs::restore() {
  for (Job& job : table_.unfinished()) {
    auto active = std::make_shared<ActiveJob>(std::move(job), "", "");
    const bool was_running = active->job.state == State::running;
    auto fail_job = [&](std::string message, std::string hint) {
      fail(*active, {"failed", std::move(message), std::move(hint)});
    };
    if (active->job.has_token) {
      fail_job("the server was restarted, and the token was in memory only", "start the job again");
    } else if (was_running && active->job.attempts >= kMaxAttempts) {
      fail_job(fmt::format("the server was stopped {} times during this job", kMaxAttempts),
          "start the job again; if the server stops again, see its log");
    } else {
      active->job.state = State::queued;
      active->job.phase.clear();
      table_.save(active->job);
      std::lock_guard lock(mutex_);
      active_.emplace(active->job.id, active);
      enqueue(active);
      if (was_running) log_(fmt::format("job {}: queued again after a restart", active->job.id));
    }
  }
  std::lock_guard lock(mutex_);
  for (Lane lane : {Lane::quick, Lane::conversions}) send_positions(lane);
}

void Jobs::enqueue(const std::shared_ptr<ActiveJob>& active) {
  LaneQueue& queue = queues_[lane_of(active->job.request.kind)];
  auto& own = queue.jobs[active->job.visitor];
  if (own.empty()) queue.visitors.push_back(active->job.visitor);
  own.push_back(active);
}

std::shared_ptr<ActiveJob> Jobs::first(const LaneQueue& queue) const {
  return queue.visitors.empty() ? nullptr : queue.jobs.at(queue.visitors.front()).front();
}

void Jobs::remove_first(LaneQueue& queue) {
  std::string visitor = std::move(queue.visitors.front());
  queue.visitors.pop_front();
  auto& own = queue.jobs[visitor];
  own.pop_front();
  if (own.empty())
    queue.jobs.erase(visitor);
  else
    queue.visitors.push_back(visitor);
}

void Jobs::remove_queued(const ActiveJob& active) {
  LaneQueue& queue = queues_[lane_of(active.job.request.kind)];
  auto at = queue.jobs.find(active.job.visitor);
  if (at == queue.jobs.end()) return;
  std::erase_if(at->second, [&](const auto& queued) { return queued.get() == &active; });
  if (!at->second.empty()) return;
  queue.visitors.remove(active.job.visitor);
  queue.jobs.erase(at);
}

std::vector<std::shared_ptr<ActiveJob>> Jobs::in_order(const LaneQueue& queue) const {
  std::vector<std::shared_ptr<ActiveJob>> order;
  bool more = true;
  for (size_t round = 0; more; ++round) {
    more = false;
    for (const std::string& visitor : queue.visitors) {
      const auto& own = queue.jobs.at(visitor);
      if (round < own.size()) order.push_back(own[round]), more = true;
    }
  }
  return order;
}

void Jobs::send_positions(Lane lane) {
  uint64_t position = 0;
  for (const auto& active : in_order(queues_[lane])) {
    if (active->job.position == ++position) continue;
    active->job.position = position;
    send_state(*active);
  }
}

void Jobs::send_state(ActiveJob& active) { active.channel->state(to_json(active.job, false)); }

void Jobs::check_queue(const std::string& visitor, const std::string& address) const {
  size_t queued = 0, of_visitor = 0, of_address = 0;
  for (const auto& [id, active] : active_) {
    if (active->job.state != State::queued) continue;
    ++queued;
    of_visitor += active->job.visitor == visitor;
    of_address += !address.empty() && active->address == address;
  }
  auto check_own = [](size_t own, uint32_t limit) {
    if (own >= limit)
      throw Error(Code::limit, "", fmt::format("{} of your jobs are waiting (need at most {})", own, limit), {},
          "wait until one ends, or cancel one");
  };
  check_own(of_visitor, limits_.queued_of_visitor);
  // A proxy or programs on this machine may send the jobs of many visitors.
  if (!http::is_loopback_host(address)) check_own(of_address, limits_.queued_of_address);
  if (queued >= limits_.queued)
    throw Error(
        Code::limit, "", fmt::format("the queue is full: {} jobs are waiting", queued), {}, "try again in a minute");
}

std::optional<Job> Jobs::find_same(
    const JobRequest& request, const std::string& visitor, const std::string& token) const {
  for (const auto& [id, active] : active_) {
    // The same address can be written in several ways.
    JobRequest other = active->job.request;
    other.address = request.address;
    if (active->job.visitor == visitor && other == request && active->token == token &&
        active->stop == ActiveJob::Stop::no)
      return active->job;
  }
  return std::nullopt;
}

Jobs::Added Jobs::add(
    const JobRequest& request, const std::string& visitor, const std::string& address, const std::string& token) {
  const std::string network = http::network_of(address);
  std::lock_guard writing(write_mutex_);
  {
    std::lock_guard lock(mutex_);
    if (auto same = find_same(request, visitor, token)) return {*std::move(same), false};
    check_queue(visitor, network);
  }
  Job job;
  job.id = new_id();
  job.visitor = visitor;
  job.request = request;
  job.has_token = !token.empty();
  job.created = now_ms();
  table_.insert(job);
  auto active = std::make_shared<ActiveJob>(std::move(job), network, token);
  Added added{.job = {}, .is_new = true};
  {
    std::lock_guard lock(mutex_);
    active_.emplace(active->job.id, active);
    enqueue(active);
    send_positions(lane_of(request.kind));
    added.job = active->job;
  }
  log_(fmt::format("job {}: queued: {}", added.job.id, describe(request)));  // before next() can log its start
  changed_.notify_all();
  return added;
}

std::optional<Job> Jobs::find(std::string_view id) const {
  {
    std::lock_guard lock(mutex_);
    if (auto at = active_.find(id); at != active_.end()) return at->second->job;
  }
  return table_.find(id);
}

std::vector<Job> Jobs::list(std::string_view visitor, uint64_t limit, std::string_view before) const {
  std::vector<Job> jobs = table_.list(visitor, limit, before);
  std::lock_guard lock(mutex_);
  for (Job& job : jobs)
    if (auto at = active_.find(job.id); at != active_.end()) job = at->second->job;
  return jobs;
}

std::shared_ptr<Channel> Jobs::channel(std::string_view id) const {
  std::lock_guard lock(mutex_);
  auto at = active_.find(id);
  return at == active_.end() ? nullptr : at->second->channel;
}

std::shared_ptr<ActiveJob> Jobs::ask_to_stop(std::string_view id) {
  std::lock_guard lock(mutex_);
  auto at = active_.find(id);
  if (at == active_.end()) return nullptr;
  if (at->second->job.state == State::running) at->second->stop = ActiveJob::Stop::cancelled;
  return at->second;
}

bool Jobs::cancel(std::string_view id) {
  std::shared_ptr<ActiveJob> active = ask_to_stop(id);
  if (!active || active->stop == ActiveJob::Stop::cancelled) return active != nullptr;
  std::unique_lock writing(write_mutex_);
  active = ask_to_stop(id);  // it may have started or ended since
  if (!active || active->stop == ActiveJob::Stop::cancelled) return active != nullptr;
  end(std::move(writing), *active, State::cancelled,
      {.problem = Problem{"cancelled", "cancelled before it started", ""}});
  return true;
}

std::shared_ptr<ActiveJob> Jobs::next(Lane lane) {
  while (true) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stopping_ || !queues_[lane].visitors.empty(); });
    }
    std::unique_lock writing(write_mutex_);
    std::unique_lock lock(mutex_);
    if (stopping_) return nullptr;
    const std::shared_ptr<ActiveJob> active = first(queues_[lane]);
    if (!active) continue;  // another thread has it, or it was cancelled
    Job job = active->job;
    lock.unlock();
    job.state = State::running;
    job.position.reset();
    job.started = now_ms();
    ++job.attempts;
    table_.save(job);
    lock.lock();
    remove_first(queues_[lane]);
    active->job = std::move(job);
    send_state(*active);
    send_positions(lane);
    lock.unlock();
    writing.unlock();
    log_(fmt::format("job {}: started: {}", active->job.id, describe(active->job.request)));
    return active;
  }
}

void Jobs::phase(ActiveJob& active, std::string_view phase) {
  std::lock_guard lock(mutex_);
  if (active.job.phase == phase) return;
  active.job.phase = phase;
  active.job.progress.reset();
  send_state(active);
}

void Jobs::progress(ActiveJob& active, const JobProgress& progress) {
  std::lock_guard lock(mutex_);
  active.job.progress = progress;
  active.channel->progress(to_json(progress));
}

void Jobs::done(ActiveJob& active, const JobOutcome& outcome, const std::vector<TensorRow>& tensors) {
  // Before end(), in its own transaction: if the server is killed here, the job runs again and replaces the rows.
  tensors_.write(active.job.sequence, tensors);
  end(std::unique_lock(write_mutex_), active, outcome.problem ? State::failed : State::done, outcome);
}

void Jobs::fail(ActiveJob& active, const Problem& problem, State state) {
  end(std::unique_lock(write_mutex_), active, state, {.problem = problem});
}

void Jobs::requeue(ActiveJob& active) {
  {
    std::lock_guard writing(write_mutex_);
    Job job = copy(active);
    if (job.attempts > 0) --job.attempts;
    job.state = State::queued;
    table_.save(job);
    std::lock_guard lock(mutex_);
    active.job = std::move(job);
  }
  log_(fmt::format("job {}: queued again: the server is stopping", active.job.id));
}

Job Jobs::copy(const ActiveJob& active) const {
  std::lock_guard lock(mutex_);
  return active.job;
}

void Jobs::end(std::unique_lock<std::mutex> writing, ActiveJob& active, State state, JobOutcome outcome) {
  Job job = copy(active);
  if (outcome.problem && outcome.sentence.empty()) outcome.sentence = outcome.problem->message;
  job.state = state;
  job.position.reset();
  job.progress.reset();
  job.ended = now_ms();
  job.outcome = std::move(outcome);
  table_.save(job);
  {
    std::lock_guard lock(mutex_);
    remove_queued(active);
    active_.erase(job.id);
    send_positions(lane_of(job.request.kind));
  }
  writing.unlock();
  active.channel->end(to_json(job, true), job);
  const double seconds = job.started ? static_cast<double>(job.ended - job.started) / 1000 : 0;
  log_(
      fmt::format("job {}: {} after {:.1f} s: {}", job.id, name(state), seconds, printable(job.outcome.sentence, 400)));
}

void Jobs::stop() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  for (const auto& [id, active] : active_) {
    ActiveJob::Stop no = ActiveJob::Stop::no;
    active->stop.compare_exchange_strong(no, ActiveJob::Stop::shutdown);
  }
  changed_.notify_all();
}

bool Jobs::wait_for_stop(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, timeout, [&] { return stopping_; });
}

bool Jobs::unless_cache_folder_is_used(std::string_view folder, const std::function<void()>& action) {
  std::lock_guard writing(write_mutex_);  // next() needs it
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, active] : active_)
      if (active->job.state == State::running && hub::RepoId::parse(active->job.request.repo).folder_name() == folder)
        return false;
  }
  action();
  return true;
}

std::vector<std::string> Jobs::remove_old() {
  return table_.remove_old(now_ms() - std::chrono::milliseconds(limits_.keep).count(), limits_.kept);
}

std::vector<std::string> Jobs::remove_oldest(uint64_t count) {
  return table_.remove_oldest(now_ms() - std::chrono::milliseconds(std::chrono::hours(1)).count(), count);
}

uint64_t Jobs::database_bytes() const { return table_.size_bytes(); }
std::map<State, uint64_t> Jobs::count() const { return table_.count(); }

}  // namespace depickle::server::page
