// Plans and conversions.
#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/repo/convert.h"
#include "depickle/repo/remote.h"
#include "server/jobs/result_json.h"
#include "server/jobs/work.h"

namespace depickle::server::jobs {
namespace {

namespace fs = std::filesystem;
using repo::Outcome;
using repo::RepoReport;

/// Reads the file sizes before any weights file is downloaded. Throws Error{limit} if the model is too large.
PlanContext read_plan_context(const Work& work, const hub::Client& client, const hub::RepoInfo& info) {
  PlanContext context;
  const hub::RepoId repo = work.repo();
  const std::vector<hub::RepoFile> files = client.files(repo, info.commit);
  for (const hub::RepoFile& file : files) context.sizes.emplace(file.path, file.size_bytes);
  const repo::Plan plan = repo::plan(files,
      {.read_index = [&](const std::string& path) { return repo::read_index(client, repo, info.commit, path); }});
  if (plan.source_bytes > work.task.max_model_bytes)
    throw Error(Code::limit, Reason::model_too_large,
        fmt::format("the model is too large for this server (have {}, need at most {})", human_bytes(plan.source_bytes),
            human_bytes(work.task.max_model_bytes)),
        Where::in(repo.name()));
  work.expect(plan.source_bytes);
  context.url_of = [&work](uint64_t number) { return work.url(fmt::format("discussions/{}", number)); };
  return context;
}

repo::ConvertOptions options_of(const Work& work) {
  repo::ConvertOptions options{
      .revision = work.request.revision, .convert = {}, .version = work.task.version, .progress = work.progress};
  options.convert.engine = &work.engine;
  options.checker = &work.engine;
  options.convert.threads = 2;
  return options;
}

std::string nothing_sentence(const RepoReport& report) {
  if (report.outcome == Outcome::already_open)
    return fmt::format("Nothing to do: pull request #{} by {} is already open.", *report.pull_request,
        printable(report.previous.front().discussion.author));
  return report.plan.up_to_date.empty() ? "Nothing to do: the repository contains no pickled weights."
                                        : "Nothing to do: the weights are already in safetensors format.";
}

std::string failed_sentence(const RepoReport& report) {
  const convert::FailedFile& first = report.report.failed.front();
  std::string text = first.error.what();
  if (report.report.failed.size() > 1)
    text += fmt::format(" (and {} more)", plural(report.report.failed.size() - 1, "file"));
  return text;
}

uint64_t sum(const RepoReport& report, uint64_t convert::FileReport::* member) {
  uint64_t total = 0;
  for (const convert::FileReport& file : report.report.files) total += file.*member;
  return total;
}

void set_outcome(JobOutcome& outcome, const RepoReport& report) {
  if (report.outcome == Outcome::nothing_to_do || report.outcome == Outcome::already_open) {
    outcome.answer = "nothing";
    outcome.sentence = nothing_sentence(report);
  } else if (report.outcome == Outcome::failed) {
    outcome.answer = "no";
    outcome.sentence = failed_sentence(report);
  } else {
    outcome.answer = "yes";
  }
}

/// Throws Error{denied} if the account of the server reads for a visitor who may not see the repository.
void check_public(const Work& work) {
  if (!work.task.token.empty() || !work.request.pull_request || work.task.is_personal) return;
  const hub::RepoInfo seen = work.client("").info(work.repo(), work.request.revision);
  if (seen.is_private || seen.is_gated)
    throw Error(Code::denied, "", "the repository is private or gated", Where::in(work.request.repo),
        "enter a token that may read it; it is used for this job only");
}

/// Returns the client that opens the pull request. Without a visitor's token it uses the account of the server, which
/// may have access to repositories that the visitor must not see. So the repository must be public.
hub::Client opener(const Work& work) {
  if (!work.task.token.empty() || !work.request.pull_request) return work.reader();
  if (work.task.account_token.empty())
    throw Error(Code::denied, "", "a pull request needs a token, because this server has no account",
        Where::in(work.request.repo), "enter a token, or convert without a pull request");
  check_public(work);
  return work.client(work.task.account_token);
}

std::vector<std::pair<std::string, uint64_t>> downloads_in(const fs::path& folder) {
  std::vector<std::pair<std::string, uint64_t>> files;
  std::error_code none;
  for (const auto& entry : fs::recursive_directory_iterator(folder, none))
    if (entry.is_regular_file())
      files.emplace_back(entry.path().lexically_relative(folder).string(), entry.file_size());
  std::ranges::sort(files);
  return files;
}

std::string python_lines(const Work& work, const RepoReport& report) {
  std::string revision =
      report.pull_request ? fmt::format(", revision=\"refs/pr/{}\"", *report.pull_request) : std::string();
  bool is_pipeline = false;
  for (const convert::FileReport& file : report.report.files) is_pipeline |= file.target.has_parent_path();
  std::string_view library = is_pipeline ? "diffusers" : "transformers";
  std::string_view loader = is_pipeline ? "DiffusionPipeline" : "AutoModel";
  return fmt::format("from {0} import {1}\nmodel = {1}.from_pretrained(\"{2}\"{3}, use_safetensors=True)", library,
      loader, work.request.repo, revision);
}

/// Returns the opened pull request, with the commit that was sent. The pull request itself may have changed since.
Merge merge_of(const RepoReport& report) {
  Merge merge;
  if (report.outcome != Outcome::opened || !report.pull_request) {
    merge.why_not = "no pull request was opened";
    return merge;
  }
  merge.number = *report.pull_request;
  merge.head = report.pull_request_commit;
  merge.is_possible = !merge.head.empty();
  if (!merge.is_possible) merge.why_not = "the Hub did not name the commit of the pull request";
  return merge;
}

void write_pull_request(JsonWriter& json, const RepoReport& report, const PlanContext& context, uint64_t identical) {
  json.key("pull_request");
  report.pull_request ? json.value(*report.pull_request) : json.null();
  json.key("url").value(report.pull_request ? context.url_of(*report.pull_request) : "");
  json.key("revision").value(report.pull_request ? hub::pull_request_revision(*report.pull_request) : "");
  json.key("identical").value(identical).key("superseded").array();
  for (uint64_t number : report.superseded) json.value(number);
  json.end();
}

}  // namespace

JobResult plan(const Work& work) {
  const hub::Client client = work.reader();
  const hub::RepoInfo info = client.info(work.repo(), work.request.revision);
  const PlanContext context = read_plan_context(work, client, info);
  work.enter("read");
  const RepoReport report = repo::plan_repo(client, work.repo(), options_of(work), work.request.pull_request);
  JobResult result{.outcome = {}, .tensors = rows_of(report, "")};
  set_outcome(result.outcome, report);
  if (result.outcome.answer == "yes")
    result.outcome.sentence =
        fmt::format("{} in {} ({}) can be converted.", plural(sum(report, &convert::FileReport::tensors), "tensor"),
            plural(report.report.files.size(), "file"), human_bytes(report.plan.source_bytes));
  JsonWriter json(result.outcome.result, JsonWriter::Style::compact);
  json.object();
  write_report(json, report, result.tensors, context);
  json.end();
  return result;
}

JobResult convert(const Work& work) {
  const hub::Client client = opener(work);
  const hub::RepoInfo info = client.info(work.repo(), work.request.revision);
  const PlanContext context = read_plan_context(work, client, info);
  const auto start = std::chrono::steady_clock::now();
  repo::ConvertOptions options = options_of(work);
  const fs::path receipt = work.folder / "receipt.json", files = work.folder / "files";
  fs::create_directories(files);
  options.convert.receipt = receipt;
  const RepoReport report = work.request.pull_request ? repo::open_pull_request(client, work.repo(), options)
                                                      : repo::convert_repo(client, work.repo(), files, options);
  check_public(work);  // the repository may have become private meanwhile, and the result names its tensors
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const bool is_done = report.outcome == Outcome::opened || report.outcome == Outcome::written;
  JobResult result{.outcome = {},
      .tensors = rows_of(report, is_done ? "identical" : ""),
      .downloaded_bytes = report.downloaded_bytes,
      .converted_bytes = is_done ? sum(report, &convert::FileReport::file_bytes) : 0};
  JobOutcome& outcome = result.outcome;
  set_outcome(outcome, report);
  const uint64_t identical = sum(report, &convert::FileReport::identical);
  if (is_done)
    outcome.sentence = fmt::format("{}.{}", convert::counts_text(report.report.files),
        report.pull_request ? fmt::format(" Pull request #{} is open.", *report.pull_request) : "");
  if (report.outcome == Outcome::failed) {
    outcome.problem = Problem::of(report.report.failed.front().error);
    outcome.problem->message = outcome.sentence;
  }
  outcome.merge = merge_of(report);
  JsonWriter json(outcome.result, JsonWriter::Style::compact);
  json.object();
  write_report(json, report, result.tensors, context);
  write_pull_request(json, report, context, identical);
  json.key("downloaded_bytes").value(report.downloaded_bytes).key("seconds").value(seconds.count());
  json.key("has_receipt").value(is_done && fs::exists(receipt));
  json.key("python").value(is_done || report.pull_request ? python_lines(work, report) : "");
  json.key("downloads").array();
  if (!work.request.pull_request && is_done)
    for (const auto& [file, bytes] : downloads_in(files))
      json.object().key("file").value(file).key("bytes").value(bytes).end();
  json.end().key("mergeable").value(outcome.merge.is_possible).key("why_not").value(outcome.merge.why_not).end();
  return result;
}

}  // namespace depickle::server::jobs
