#include "server/page/jobs.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/base/database.h"
#include "server/base/time.h"

namespace depickle::server::page {
namespace {

constexpr int kVersion = 1;
constexpr const char* kTables = R"(
-- Times in milliseconds since 1970. A token is never here: has_token says that there was one.
CREATE TABLE jobs(sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, visitor TEXT NOT NULL, kind INTEGER NOT NULL,
  address TEXT NOT NULL, repo TEXT NOT NULL, revision TEXT NOT NULL, path TEXT NOT NULL, number INTEGER NOT NULL, pull_request INTEGER NOT NULL,
  elsewhere INTEGER NOT NULL, has_token INTEGER NOT NULL, attempts INTEGER NOT NULL, state INTEGER NOT NULL, phase TEXT NOT NULL,
  created INTEGER NOT NULL, started INTEGER NOT NULL, ended INTEGER NOT NULL, sentence TEXT NOT NULL, answer TEXT NOT NULL,
  error_code TEXT NOT NULL, error_message TEXT NOT NULL, error_hint TEXT NOT NULL, result TEXT NOT NULL,
  may_merge INTEGER NOT NULL, why_not TEXT NOT NULL, merge_number INTEGER NOT NULL, merge_head TEXT NOT NULL);
CREATE INDEX jobs_of ON jobs(visitor, sequence);
CREATE INDEX jobs_by_state ON jobs(state, sequence);
CREATE TABLE tensors(job INTEGER NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, dtype TEXT NOT NULL, shape TEXT NOT NULL,
  elements INTEGER NOT NULL, bytes INTEGER NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL, verdict TEXT NOT NULL, note TEXT NOT NULL,
  PRIMARY KEY(job, position)) WITHOUT ROWID;
)";
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
  job.wish = {.kind = static_cast<Kind>(row.number(3)),
      .address = row.text(4),
      .repo = row.text(5),
      .revision = row.text(6),
      .path = row.text(7),
      .number = static_cast<uint64_t>(row.number(8)),
      .pull_request = row.number(9) != 0,
      .elsewhere = row.number(10) != 0};
  job.has_token = row.number(11) != 0;
  job.attempts = static_cast<unsigned>(row.number(12));
  job.state = static_cast<State>(row.number(13));
  job.phase = row.text(14);
  job.created = row.number(15);
  job.started = row.number(16);
  job.ended = row.number(17);
  job.answer.sentence = row.text(18);
  job.answer.answer = row.text(19);
  if (std::string code = row.text(20); !code.empty()) job.answer.problem = Problem{code, row.text(21), row.text(22)};
  job.answer.merge = {.is_possible = row.number(23) != 0,
      .why_not = row.text(24),
      .number = static_cast<uint64_t>(row.number(25)),
      .head = row.text(26)};
  return job;
}

std::string describe(const JobRequest& wish) {
  std::string text = fmt::format("{} {}", name(wish.kind), wish.repo);
  if (!wish.revision.empty()) text += "@" + printable(wish.revision);
  if (wish.number) text += fmt::format(" #{}", wish.number);
  return text;
}

}  // namespace

std::shared_ptr<Database> open_database(const std::filesystem::path& data) {
  return Database::open(data / "app.sqlite", kTables, kVersion);
}

// Ids of events must be newer than those of an earlier process, which was slower than one a millisecond.
ActiveJob::ActiveJob(Job job_, std::string token_)
    : job(std::move(job_)),
      token(std::move(token_)),
      channel(std::make_shared<Channel>(static_cast<uint64_t>(now_ms()))) {}

ActiveJob::~ActiveJob() { ::explicit_bzero(token.data(), token.size()); }

Jobs::Jobs(std::shared_ptr<Database> database, std::shared_ptr<Database> reader, const Limits& limits,
    std::function<void(std::string_view)> log)
    : database_(std::move(database)),
      reader_(std::move(reader)),
      limits_(limits),
      log_(std::move(log)) {
  take_up();
}

void Jobs::take_up() {
  std::vector<Job> left;
  database_->each(fmt::format("SELECT {} FROM jobs WHERE state <= 1 ORDER BY sequence", kColumns), {},
      [&](const Row& row) { left.push_back(job_of(row)); });
  std::lock_guard lock(mutex_);
  for (Job& job : left) {
    auto live = std::make_shared<ActiveJob>(std::move(job), "");
    const bool was_running = live->job.state == State::running;
    auto refuse = [&](std::string message, std::string hint) {
      end(*live, State::failed, {.problem = Problem{"failed", std::move(message), std::move(hint)}});
    };
    if (live->job.has_token) {
      refuse("the server was restarted, and the token was in memory only", "start it again");
    } else if (was_running && live->job.attempts >= kMaxAttempts) {
      refuse(fmt::format("the server was stopped {} times while it worked on this", kMaxAttempts),
          "start it again; if the server stops once more, its log says why");
    } else {
      live->job.state = State::queued;
      live->job.phase.clear();
      live_.emplace(live->job.id, live);
      save(live->job);
      enqueue(live);
      if (was_running) log_(fmt::format("job {}: begins again after a restart", live->job.id));
    }
  }
  for (Lane lane : {Lane::quick, Lane::conversions}) tell_positions(lane);
}

void Jobs::enqueue(const std::shared_ptr<ActiveJob>& live) {
  Waiting& waiting = waiting_[lane_of(live->job.wish.kind)];
  auto& own = waiting.of[live->job.visitor];
  if (own.empty()) waiting.turns.push_back(live->job.visitor);
  own.push_back(live);
}

std::vector<std::shared_ptr<ActiveJob>> Jobs::in_order(const Waiting& waiting) const {
  std::vector<std::shared_ptr<ActiveJob>> order;
  bool more = true;
  for (size_t round = 0; more; ++round) {
    more = false;
    for (const std::string& visitor : waiting.turns) {
      const auto& own = waiting.of.at(visitor);
      if (round < own.size()) order.push_back(own[round]), more = true;
    }
  }
  return order;
}

void Jobs::tell_positions(Lane lane) {
  uint64_t position = 0;
  for (const auto& live : in_order(waiting_[lane])) {
    if (live->job.position == ++position) continue;
    live->job.position = position;
    tell_state(*live);
  }
}

void Jobs::tell_state(ActiveJob& live) { live.channel->state(to_json(live.job, false)); }

Jobs::Added Jobs::add(const JobRequest& wish, const std::string& visitor, const std::string& token) {
  std::lock_guard lock(mutex_);
  size_t queued = 0, own = 0;
  for (const auto& [id, live] : live_) {
    const bool is_own = live->job.visitor == visitor;
    // The same address may be written in several ways.
    JobRequest same = live->job.wish;
    same.address = wish.address;
    if (is_own && same == wish && live->token == token && live->stop == ActiveJob::Stop::no) return {live->job, false};
    if (live->job.state != State::queued) continue;
    ++queued;
    own += is_own;
  }
  if (own >= limits_.queued_of_visitor)
    throw Error(Code::limit, "", fmt::format("{} of your jobs are waiting already", own), {},
        "wait for one to end, or cancel one");
  if (queued >= limits_.queued)
    throw Error(
        Code::limit, "", fmt::format("the queue is full: {} jobs are waiting", queued), {}, "try again in a minute");
  Job job;
  job.id = new_id();
  job.visitor = visitor;
  job.wish = wish;
  job.has_token = !token.empty();
  job.created = now_ms();
  database_->run(
      "INSERT INTO jobs VALUES(NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '', ?, 0, 0, '', '', '', '', '', '', 0, "
      "'', 0, '')",
      {job.id, job.visitor, int64_t(wish.kind), wish.address, wish.repo, wish.revision, wish.path, int64_t(wish.number),
          int64_t(wish.pull_request), int64_t(wish.elsewhere), int64_t(job.has_token), job.created});
  job.sequence = database_->last_row_id();
  auto live = std::make_shared<ActiveJob>(std::move(job), token);
  live_.emplace(live->job.id, live);
  enqueue(live);
  tell_positions(lane_of(wish.kind));
  log_(fmt::format("job {}: queued: {}", live->job.id, describe(wish)));
  changed_.notify_all();
  return {live->job, true};
}

std::optional<Job> Jobs::find(std::string_view id) const {
  {
    std::lock_guard lock(mutex_);
    if (auto at = live_.find(id); at != live_.end()) return at->second->job;
  }
  std::optional<Job> found;
  reader_->each(fmt::format("SELECT {}, result FROM jobs WHERE id = ?", kColumns), {id}, [&](const Row& row) {
    found = job_of(row);
    found->answer.result = row.text(27);
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
    if (auto at = live_.find(job.id); at != live_.end()) job = at->second->job;
  return jobs;
}

std::shared_ptr<Channel> Jobs::channel(std::string_view id) const {
  std::lock_guard lock(mutex_);
  auto at = live_.find(id);
  return at == live_.end() ? nullptr : at->second->channel;
}

bool Jobs::cancel(std::string_view id) {
  std::lock_guard lock(mutex_);
  auto at = live_.find(id);
  if (at == live_.end()) return false;
  std::shared_ptr<ActiveJob> live = at->second;
  live->stop = ActiveJob::Stop::cancelled;
  if (live->job.state == State::running) return true;
  Waiting& waiting = waiting_[lane_of(live->job.wish.kind)];
  auto& own = waiting.of[live->job.visitor];
  std::erase(own, live);
  if (own.empty()) {
    waiting.turns.remove(live->job.visitor);
    waiting.of.erase(live->job.visitor);
  }
  end(*live, State::cancelled, {.problem = Problem{"cancelled", "cancelled before it began", ""}});
  tell_positions(lane_of(live->job.wish.kind));
  return true;
}

std::shared_ptr<ActiveJob> Jobs::next(Lane lane) {
  std::unique_lock lock(mutex_);
  Waiting& waiting = waiting_[lane];
  changed_.wait(lock, [&] { return stopping_ || !waiting.turns.empty(); });
  if (stopping_) return nullptr;
  std::string visitor = std::move(waiting.turns.front());
  waiting.turns.pop_front();
  auto& own = waiting.of[visitor];
  std::shared_ptr<ActiveJob> live = own.front();
  own.pop_front();
  if (own.empty())
    waiting.of.erase(visitor);
  else
    waiting.turns.push_back(visitor);
  live->job.state = State::running;
  live->job.position.reset();
  live->job.started = now_ms();
  ++live->job.attempts;
  save(live->job);
  tell_state(*live);
  tell_positions(lane);
  log_(fmt::format("job {}: begins: {}", live->job.id, describe(live->job.wish)));
  return live;
}

void Jobs::phase(ActiveJob& live, std::string_view phase) {
  std::lock_guard lock(mutex_);
  if (live.job.phase == phase) return;
  live.job.phase = phase;
  live.job.measure.reset();
  tell_state(live);
}

void Jobs::progress(ActiveJob& live, const Measure& measure) {
  std::lock_guard lock(mutex_);
  live.job.measure = measure;
  live.channel->progress(to_json(measure));
}

void Jobs::done(ActiveJob& live, Response answer, const std::vector<TensorRow>& tensors) {
  // First, and by itself: a job that a kill leaves running is done again, and writes them again.
  Tensors(database_, database_).write(live.job.sequence, tensors);
  std::lock_guard lock(mutex_);
  end(live, answer.problem ? State::failed : State::done, std::move(answer));
}

void Jobs::fail(ActiveJob& live, const Problem& problem, State state) {
  std::lock_guard lock(mutex_);
  end(live, state, {.problem = problem});
}

void Jobs::put_back(ActiveJob& live) {
  std::lock_guard lock(mutex_);
  if (live.job.attempts > 0) --live.job.attempts;
  live.job.state = State::queued;
  save(live.job);
  log_(fmt::format("job {}: put back: the server stops", live.job.id));
}

void Jobs::end(ActiveJob& live, State state, Response answer) {
  Job& job = live.job;
  if (answer.problem && answer.sentence.empty()) answer.sentence = answer.problem->message;
  job.state = state;
  job.position.reset();
  job.measure.reset();
  job.ended = now_ms();
  job.answer = std::move(answer);
  save(job);
  live.channel->end(to_json(job, true), job);
  const double seconds = job.started ? static_cast<double>(job.ended - job.started) / 1000 : 0;
  log_(fmt::format("job {}: {} after {:.1f} s: {}", job.id, name(state), seconds, printable(job.answer.sentence, 400)));
  live_.erase(job.id);
}

void Jobs::save(const Job& job) {
  const Problem problem = job.answer.problem.value_or(Problem{});
  database_->run(
      "UPDATE jobs SET attempts = ?, state = ?, phase = ?, started = ?, ended = ?, sentence = ?, answer = ?, "
      "error_code = ?, "
      "error_message = ?, error_hint = ?, result = ?, may_merge = ?, why_not = ?, merge_number = ?, merge_head = ? "
      "WHERE sequence = ?",
      {int64_t(job.attempts), int64_t(job.state), job.phase, job.started, job.ended, job.answer.sentence,
          job.answer.answer, problem.code, problem.message, problem.hint, job.answer.result,
          int64_t(job.answer.merge.is_possible), job.answer.merge.why_not, int64_t(job.answer.merge.number),
          job.answer.merge.head, job.sequence});
}

void Jobs::stop() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  for (const auto& [id, live] : live_) {
    ActiveJob::Stop no = ActiveJob::Stop::no;
    live->stop.compare_exchange_strong(no, ActiveJob::Stop::shutdown);
  }
  changed_.notify_all();
}

std::vector<std::string> Jobs::forget_old() {
  std::vector<std::string> old;
  const int64_t before = now_ms() - std::chrono::milliseconds(limits_.keep).count();
  database_->each(
      "SELECT id FROM jobs WHERE state > 1 AND (ended < ? OR sequence <= (SELECT sequence FROM jobs WHERE state > 1 "
      "ORDER BY sequence DESC LIMIT 1 OFFSET ?))",
      {before, int64_t(limits_.kept)}, [&](const Row& row) { old.push_back(row.text(0)); });
  for (const std::string& id : old) forget(id);
  return old;
}

void Jobs::forget(std::string_view id) {
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
