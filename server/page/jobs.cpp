#include "server/page/jobs.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/address.h"
#include "server/base/database.h"
#include "server/base/time.h"
#include "server/http/access_guard.h"
#include "server/http/addresses.h"

namespace depickle::server::page {
namespace {

constexpr std::string_view kColumns =
    "sequence, id, visitor, kind, address, repo, revision, path, number, pull_request, elsewhere, has_token, attempts, "
    "state, phase, created, started, ended, sentence, answer, error_code, error_message, error_hint, may_merge, "
    "why_not, merge_number, merge_head";
constexpr unsigned kMaxAttempts = 2;

Job job_of(const Row& row) {
  Job job;
  job.sequence = row.number(0);
  job.id = row.text(1);
  job.visitor = row.text(2);
  job.request = {.kind = static_cast<JobKind>(row.number(3)),
      .address = row.text(4),
      .repo = row.text(5),
      .revision = row.text(6),
      .path = row.text(7),
      .number = static_cast<uint64_t>(row.number(8)),
      .pull_request = row.number(9) != 0,
      .is_from_public_hub = row.number(10) != 0};
  job.has_token = row.number(11) != 0;
  job.attempts = static_cast<unsigned>(row.number(12));
  job.state = static_cast<State>(row.number(13));
  job.phase = row.text(14);
  job.created = row.number(15);
  job.started = row.number(16);
  job.ended = row.number(17);
  job.outcome.sentence = row.text(18);
  job.outcome.answer = row.text(19);
  if (std::string code = row.text(20); !code.empty()) job.outcome.problem = Problem{code, row.text(21), row.text(22)};
  job.outcome.merge = {.is_possible = row.number(23) != 0,
      .why_not = row.text(24),
      .number = static_cast<uint64_t>(row.number(25)),
      .head = row.text(26)};
  return job;
}

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

Jobs::Jobs(std::shared_ptr<Database> database, std::shared_ptr<Database> reader, const PageLimits& limits,
    std::function<void(std::string_view)> log)
    : database_(std::move(database)),
      reader_(std::move(reader)),
      limits_(limits),
      log_(std::move(log)) {
  restore();
}

void Jobs::restore() {
  std::vector<Job> unfinished;
  database_->each(fmt::format("SELECT {} FROM jobs WHERE state <= 1 ORDER BY sequence", kColumns), {},
      [&](const Row& row) { unfinished.push_back(job_of(row)); });
  std::lock_guard lock(mutex_);
  for (Job& job : unfinished) {
    auto active = std::make_shared<ActiveJob>(std::move(job), "", "");
    const bool was_running = active->job.state == State::running;
    auto fail_job = [&](std::string message, std::string hint) {
      end(*active, State::failed, {.problem = Problem{"failed", std::move(message), std::move(hint)}});
    };
    if (active->job.has_token) {
      fail_job("the server was restarted, and the token was in memory only", "start the job again");
    } else if (was_running && active->job.attempts >= kMaxAttempts) {
      fail_job(fmt::format("the server was stopped {} times during this job", kMaxAttempts),
          "start the job again; if the server stops again, see its log");
    } else {
      active->job.state = State::queued;
      active->job.phase.clear();
      active_.emplace(active->job.id, active);
      save(active->job);
      enqueue(active);
      if (was_running) log_(fmt::format("job {}: queued again after a restart", active->job.id));
    }
  }
  for (Lane lane : {Lane::quick, Lane::conversions}) send_positions(lane);
}

void Jobs::enqueue(const std::shared_ptr<ActiveJob>& active) {
  LaneQueue& queue = queues_[lane_of(active->job.request.kind)];
  auto& own = queue.jobs[active->job.visitor];
  if (own.empty()) queue.visitors.push_back(active->job.visitor);
  own.push_back(active);
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

Jobs::Added Jobs::add(
    const JobRequest& request, const std::string& visitor, const std::string& address, const std::string& token) {
  const std::string network = http::network_of(address);
  std::lock_guard lock(mutex_);
  for (const auto& [id, active] : active_) {
    // The same address can be written in several ways.
    JobRequest other = active->job.request;
    other.address = request.address;
    if (active->job.visitor == visitor && other == request && active->token == token &&
        active->stop == ActiveJob::Stop::no)
      return {active->job, false};
  }
  check_queue(visitor, network);
  Job job;
  job.id = new_id();
  job.visitor = visitor;
  job.request = request;
  job.has_token = !token.empty();
  job.created = now_ms();
  database_->run(
      "INSERT INTO jobs VALUES(NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '', ?, 0, 0, '', '', '', '', '', '', 0, "
      "'', 0, '')",
      {job.id, job.visitor, int64_t(request.kind), request.address, request.repo, request.revision, request.path,
          int64_t(request.number), int64_t(request.pull_request), int64_t(request.is_from_public_hub),
          int64_t(job.has_token), job.created});
  job.sequence = database_->last_row_id();
  auto active = std::make_shared<ActiveJob>(std::move(job), network, token);
  active_.emplace(active->job.id, active);
  enqueue(active);
  send_positions(lane_of(request.kind));
  log_(fmt::format("job {}: queued: {}", active->job.id, describe(request)));
  changed_.notify_all();
  return {active->job, true};
}

std::optional<Job> Jobs::find(std::string_view id) const {
  {
    std::lock_guard lock(mutex_);
    if (auto at = active_.find(id); at != active_.end()) return at->second->job;
  }
  std::optional<Job> found;
  reader_->each(fmt::format("SELECT {}, result FROM jobs WHERE id = ?", kColumns), {id}, [&](const Row& row) {
    found = job_of(row);
    found->outcome.result = row.text(27);
  });
  return found;
}

std::vector<Job> Jobs::list(std::string_view visitor, uint64_t limit, std::string_view before) const {
  int64_t below = INT64_MAX;
  if (!before.empty()) below = reader_->number("SELECT sequence FROM jobs WHERE id = ?", {before}).value_or(0);
  std::vector<Job> jobs;
  reader_->each(
      fmt::format("SELECT {} FROM jobs WHERE visitor = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?", kColumns),
      {visitor, below, static_cast<int64_t>(limit)}, [&](const Row& row) { jobs.push_back(job_of(row)); });
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

bool Jobs::cancel(std::string_view id) {
  std::lock_guard lock(mutex_);
  auto at = active_.find(id);
  if (at == active_.end()) return false;
  std::shared_ptr<ActiveJob> active = at->second;
  active->stop = ActiveJob::Stop::cancelled;
  if (active->job.state == State::running) return true;
  LaneQueue& queue = queues_[lane_of(active->job.request.kind)];
  auto& own = queue.jobs[active->job.visitor];
  std::erase(own, active);
  if (own.empty()) {
    queue.visitors.remove(active->job.visitor);
    queue.jobs.erase(active->job.visitor);
  }
  end(*active, State::cancelled, {.problem = Problem{"cancelled", "cancelled before it started", ""}});
  send_positions(lane_of(active->job.request.kind));
  return true;
}

std::shared_ptr<ActiveJob> Jobs::next(Lane lane) {
  std::unique_lock lock(mutex_);
  LaneQueue& queue = queues_[lane];
  changed_.wait(lock, [&] { return stopping_ || !queue.visitors.empty(); });
  if (stopping_) return nullptr;
  std::string visitor = std::move(queue.visitors.front());
  queue.visitors.pop_front();
  auto& own = queue.jobs[visitor];
  std::shared_ptr<ActiveJob> active = own.front();
  own.pop_front();
  if (own.empty())
    queue.jobs.erase(visitor);
  else
    queue.visitors.push_back(visitor);
  active->job.state = State::running;
  active->job.position.reset();
  active->job.started = now_ms();
  ++active->job.attempts;
  save(active->job);
  send_state(*active);
  send_positions(lane);
  log_(fmt::format("job {}: started: {}", active->job.id, describe(active->job.request)));
  return active;
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

void Jobs::done(ActiveJob& active, JobOutcome outcome, const std::vector<TensorRow>& tensors) {
  // Before end(), in its own transaction: if the server is killed here, the job runs again and replaces the rows.
  Tensors(database_, database_).write(active.job.sequence, tensors);
  std::lock_guard lock(mutex_);
  end(active, outcome.problem ? State::failed : State::done, std::move(outcome));
}

void Jobs::fail(ActiveJob& active, const Problem& problem, State state) {
  std::lock_guard lock(mutex_);
  end(active, state, {.problem = problem});
}

void Jobs::requeue(ActiveJob& active) {
  std::lock_guard lock(mutex_);
  if (active.job.attempts > 0) --active.job.attempts;
  active.job.state = State::queued;
  save(active.job);
  log_(fmt::format("job {}: queued again: the server is stopping", active.job.id));
}

void Jobs::end(ActiveJob& active, State state, JobOutcome outcome) {
  Job& job = active.job;
  if (outcome.problem && outcome.sentence.empty()) outcome.sentence = outcome.problem->message;
  job.state = state;
  job.position.reset();
  job.progress.reset();
  job.ended = now_ms();
  job.outcome = std::move(outcome);
  save(job);
  active.channel->end(to_json(job, true), job);
  const double seconds = job.started ? static_cast<double>(job.ended - job.started) / 1000 : 0;
  log_(
      fmt::format("job {}: {} after {:.1f} s: {}", job.id, name(state), seconds, printable(job.outcome.sentence, 400)));
  active_.erase(job.id);
}

void Jobs::save(const Job& job) {
  const Problem problem = job.outcome.problem.value_or(Problem{});
  database_->run(
      "UPDATE jobs SET attempts = ?, state = ?, phase = ?, started = ?, ended = ?, sentence = ?, answer = ?, "
      "error_code = ?, "
      "error_message = ?, error_hint = ?, result = ?, may_merge = ?, why_not = ?, merge_number = ?, merge_head = ? "
      "WHERE sequence = ?",
      {int64_t(job.attempts), int64_t(job.state), job.phase, job.started, job.ended, job.outcome.sentence,
          job.outcome.answer, problem.code, problem.message, problem.hint, job.outcome.result,
          int64_t(job.outcome.merge.is_possible), job.outcome.merge.why_not, int64_t(job.outcome.merge.number),
          job.outcome.merge.head, job.sequence});
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

bool Jobs::unless_cache_folder_is_used(std::string_view folder, const std::function<void()>& action) {
  std::lock_guard lock(mutex_);
  for (const auto& [id, active] : active_)
    if (active->job.state == State::running && hub::RepoId::parse(active->job.request.repo).folder_name() == folder)
      return false;
  action();
  return true;
}

std::vector<std::string> Jobs::remove_old() {
  std::vector<std::string> old;
  const int64_t before = now_ms() - std::chrono::milliseconds(limits_.keep).count();
  database_->each(
      "SELECT id FROM jobs WHERE state > 1 AND (ended < ? OR sequence <= (SELECT sequence FROM jobs WHERE state > 1 "
      "ORDER BY sequence DESC LIMIT 1 OFFSET ?))",
      {before, int64_t(limits_.kept)}, [&](const Row& row) { old.push_back(row.text(0)); });
  for (const std::string& id : old) remove(id);
  return old;
}

std::vector<std::string> Jobs::remove_oldest(uint64_t count) {
  std::vector<std::string> oldest;
  const int64_t before = now_ms() - std::chrono::milliseconds(std::chrono::hours(1)).count();
  database_->each("SELECT id FROM jobs WHERE state > 1 AND ended < ? ORDER BY sequence LIMIT ?",
      {before, static_cast<int64_t>(count)}, [&](const Row& row) { oldest.push_back(row.text(0)); });
  for (const std::string& id : oldest) remove(id);
  database_->shrink();
  return oldest;
}

uint64_t Jobs::database_bytes() const { return database_->size_bytes(); }

void Jobs::remove(std::string_view id) {
  database_->transaction([&] {
    database_->run("DELETE FROM tensors WHERE job = (SELECT sequence FROM jobs WHERE id = ? AND state > 1)", {id});
    database_->run("DELETE FROM jobs WHERE id = ? AND state > 1", {id});
  });
}

std::map<State, uint64_t> Jobs::count() const {
  std::map<State, uint64_t> counts;
  reader_->each("SELECT state, count(*) FROM jobs GROUP BY state", {},
      [&](const Row& row) { counts[static_cast<State>(row.number(0))] = static_cast<uint64_t>(row.number(1)); });
  return counts;
}

}  // namespace depickle::server::page
