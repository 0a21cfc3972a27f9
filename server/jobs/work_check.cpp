// Checks.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "depickle/repo/check.h"
#include "depickle/repo/remote.h"
#include "server/jobs/result_json.h"
#include "server/jobs/work.h"

namespace depickle::server::jobs {
namespace {

using repo::Check;
using repo::TensorFinding;

/// Returns the tensors that the pull request adds, with their verdicts, and those that only the pickle has.
std::vector<TensorRow> rows_of(const Work& work, const hub::Client& client, const Check& check) {
  std::map<std::pair<std::string, std::string>, const TensorFinding*> findings;
  for (const TensorFinding& finding : check.tensors)
    findings.emplace(std::pair(finding.file, finding.tensor), &finding);
  std::vector<TensorRow> rows;
  for (const repo::FileChange& file : check.files) {
    if (file.kind != repo::FileChange::Kind::weights || file.change == repo::FileChange::Change::deleted) continue;
    if (auto of_file = findings.find({file.path, ""}); of_file != findings.end())
      continue;  // the file has no valid table
    const weights::Model model{.entry = repo::open_source(client, work.repo(), check.head, file.path)};
    const convert::TableSummary summary = work.engine.summarize(model, {});
    const size_t first = rows.size();
    append_rows(rows, summary.tensors, file.path, "identical");
    for (size_t i = first; i < rows.size(); ++i) {
      auto found = findings.find({file.path, rows[i].name});
      if (found == findings.end()) continue;
      rows[i].verdict = name(found->second->kind);
      rows[i].note = found->second->what;
      findings.erase(found);
    }
  }
  for (const auto& [place, finding] : findings)
    rows.push_back({.name = finding->tensor,
        .dtype = {},
        .shape = {},
        .bytes = 0,
        .file = finding->file,
        .sha256 = {},
        .verdict = std::string(name(finding->kind)),
        .note = finding->what});
  return rows;
}

Merge merge_of(const Check& check) {
  Merge merge{.is_possible = true, .why_not = {}, .number = check.discussion.number, .head = check.head};
  if (check.discussion.status != hub::DiscussionStatus::open)
    merge.why_not = fmt::format("it is {}, not open", name(check.discussion.status));
  if (!check.passed()) merge.why_not = "it is not verified to be identical to the pickle";
  merge.is_possible = merge.why_not.empty();
  return merge;
}

void write_check(JsonWriter& json, const Work& work, const Check& check) {
  json.key("repo").value(work.request.repo).key("number").value(check.discussion.number);
  json.key("title").value(check.discussion.title).key("author").value(check.discussion.author);
  json.key("status").value(name(check.discussion.status)).key("base").value(check.base).key("head").value(check.head);
  json.key("verdict").value(name(check.verdict())).key("sentence").value(check.sentence());
  json.key("tensors_compared").value(check.compared).key("tensors_identical").value(check.identical);
  json.key("bytes_compared").value(check.compared_bytes).key("files").array();
  for (const repo::FileChange& file : check.files) {
    json.object().key("file").value(file.path).key("change").value(name(file.change));
    json.key("kind").value(name(file.kind)).key("bytes").value(file.size_bytes);
    json.key("expected").value(file.is_expected()).end();
  }
  json.end().key("tensors").array();
  constexpr size_t kMaxListedFindings = 1000;  // the tensor table has all
  for (size_t i = 0; i < std::min(check.tensors.size(), kMaxListedFindings); ++i) {
    const TensorFinding& finding = check.tensors[i];
    json.object().key("file").value(finding.file).key("name").value(finding.tensor);
    json.key("finding").value(name(finding.kind)).key("what").value(finding.what).end();
  }
  json.end().key("notes");
  convert::write_texts(json, check.notes);
}

}  // namespace

JobResult check(const Work& work) {
  const hub::Client client = work.reader();
  work.enter("read");
  const Check check = repo::check(
      client, work.repo(), work.request.number, {.threads = 2, .progress = work.progress, .engine = &work.engine});
  JobResult result{.outcome = {}, .tensors = rows_of(work, client, check)};
  JobOutcome& outcome = result.outcome;
  outcome.sentence = check.sentence();
  outcome.answer = check.passed() ? "yes" : check.verdict() == Check::Verdict::nothing_to_compare ? "nothing" : "no";
  outcome.merge = merge_of(check);
  JsonWriter json(outcome.result, JsonWriter::Style::compact);
  json.object();
  write_check(json, work, check);
  json.key("url").value(work.url(fmt::format("discussions/{}", check.discussion.number)));
  json.key("mergeable").value(outcome.merge.is_possible).key("why_not").value(outcome.merge.why_not).key("shares");
  write_shares(json, result.tensors);
  json.end();
  return result;
}

}  // namespace depickle::server::jobs
