#include "server/page/job_table.h"

#include <fmt/format.h>

#include "server/base/database.h"

namespace depickle::server::page {
namespace {

constexpr std::string_view kColumns =
    "sequence, id, visitor, kind, address, repo, revision, path, number, pull_request, elsewhere, has_token, attempts, "
    "state, phase, created, started, ended, sentence, answer, error_code, error_message, error_hint, may_merge, "
    "why_not, merge_number, merge_head";

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

}  // namespace

void JobTable::insert(Job& job) {
  const JobRequest& request = job.request;
  database_->transaction([&] {  // so that no other statement is between the two
    database_->run(
        "INSERT INTO jobs VALUES(NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '', ?, 0, 0, '', '', '', '', '', '', 0, "
        "'', 0, '')",
        {job.id, job.visitor, int64_t(request.kind), request.address, request.repo, request.revision, request.path,
            int64_t(request.number), int64_t(request.pull_request), int64_t(request.is_from_public_hub),
            int64_t(job.has_token), job.created});
    job.sequence = database_->last_row_id();
  });
}

void JobTable::save(const Job& job) {
  const Problem problem = job.outcome.problem.value_or(Problem{});
  database_->run(
      "UPDATE jobs SET attempts = ?, state = ?, phase = ?, started = ?, ended = ?, sentence = ?, answer = ?, "
      "error_code = ?, error_message = ?, error_hint = ?, result = ?, may_merge = ?, why_not = ?, merge_number = ?, "
      "merge_head = ? WHERE sequence = ?",
      {int64_t(job.attempts), int64_t(job.state), job.phase, job.started, job.ended, job.outcome.sentence,
          job.outcome.answer, problem.code, problem.message, problem.hint, job.outcome.result,
          int64_t(job.outcome.merge.is_possible), job.outcome.merge.why_not, int64_t(job.outcome.merge.number),
          job.outcome.merge.head, job.sequence});
}

std::vector<Job> JobTable::unfinished() const {
  std::vector<Job> jobs;
  database_->each(fmt::format("SELECT {} FROM jobs WHERE state <= 1 ORDER BY sequence", kColumns), {},
      [&](const Row& row) { jobs.push_back(job_of(row)); });
  return jobs;
}

std::optional<Job> JobTable::find(std::string_view id) const {
  std::optional<Job> found;
  database_->each(fmt::format("SELECT {}, result FROM jobs WHERE id = ?", kColumns), {id}, [&](const Row& row) {
    found = job_of(row);
    found->outcome.result = row.text(27);
  });
  return found;
}

std::vector<Job> JobTable::list(std::string_view visitor, uint64_t limit, std::string_view before) const {
  int64_t below = INT64_MAX;
  if (!before.empty()) below = database_->number("SELECT sequence FROM jobs WHERE id = ?", {before}).value_or(0);
  std::vector<Job> jobs;
  database_->each(
      fmt::format("SELECT {} FROM jobs WHERE visitor = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?", kColumns),
      {visitor, below, static_cast<int64_t>(limit)}, [&](const Row& row) { jobs.push_back(job_of(row)); });
  return jobs;
}

std::map<State, uint64_t> JobTable::count() const {
  std::map<State, uint64_t> counts;
  database_->each("SELECT state, count(*) FROM jobs GROUP BY state", {},
      [&](const Row& row) { counts[static_cast<State>(row.number(0))] = static_cast<uint64_t>(row.number(1)); });
  return counts;
}

std::vector<std::string> JobTable::remove_old(int64_t before, uint64_t kept) {
  std::vector<std::string> old;
  database_->each(
      "SELECT id FROM jobs WHERE state > 1 AND (ended < ? OR sequence <= (SELECT sequence FROM jobs WHERE state > 1 "
      "ORDER BY sequence DESC LIMIT 1 OFFSET ?))",
      {before, static_cast<int64_t>(kept)}, [&](const Row& row) { old.push_back(row.text(0)); });
  for (const std::string& id : old) remove(id);
  return old;
}

std::vector<std::string> JobTable::remove_oldest(int64_t before, uint64_t count) {
  std::vector<std::string> oldest;
  database_->each("SELECT id FROM jobs WHERE state > 1 AND ended < ? ORDER BY sequence LIMIT ?",
      {before, static_cast<int64_t>(count)}, [&](const Row& row) { oldest.push_back(row.text(0)); });
  for (const std::string& id : oldest) remove(id);
  database_->shrink();
  return oldest;
}

uint64_t JobTable::size_bytes() const { return database_->size_bytes(); }

void JobTable::remove(std::string_view id) {
  database_->transaction([&] {
    database_->run("DELETE FROM tensors WHERE job = (SELECT sequence FROM jobs WHERE id = ? AND state > 1)", {id});
    database_->run("DELETE FROM jobs WHERE id = ? AND state > 1", {id});
  });
}

}  // namespace depickle::server::page
