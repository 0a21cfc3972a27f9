#include "cli/convert_repo.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/address.h"
#include "cli/convert_report.h"
#include "cli/exit_code.h"
#include "cli/progress_bar.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "depickle/repo/convert.h"

namespace depickle::cli {
namespace {

using repo::Outcome;
using repo::RepoReport;

void check_request(const RepoConversion& request) {
  const std::string address = hub::hf_address(request.repository.repo, request.repository.revision);
  if (!request.repository.path.empty())
    throw Error(Code::unsupported, "", "names a file or a folder, but only whole repositories can be converted",
        Where::in(address), "omit the path, or download the file first: depickle download");
  if (request.repository.repo.type() != hub::RepoType::model)
    throw Error(Code::unsupported, "", "is not a model repository", Where::in(address));
  if (request.pull_request && !request.target.empty())
    throw Error(Code::unsupported, "", "--pr and -o cannot be combined", {}, "omit one of them");
  if (!request.pull_request && request.target.empty() && !request.dry_run)
    throw Error(Code::unsupported, "", "the place for the result is missing", Where::in(address),
        "--pr opens a pull request, -o FOLDER writes to a folder");
}

RepoReport work(const RepoConversion& request, const Progress& progress) {
  const hub::Client client = hub_client();
  const hub::RepoId& repository = request.repository.repo;
  const repo::ConvertOptions options{.revision = request.repository.revision,
      .convert = request.convert,
      .checker = request.checker,
      .version = DEPICKLE_VERSION,
      .progress = progress};
  if (request.dry_run) return repo::plan_repo(client, repository, options, request.pull_request);
  if (!request.pull_request) return repo::convert_repo(client, repository, request.target, options);
  if (client.settings().token.empty())
    throw Error(Code::denied, "", "a pull request requires a token, but none is set", Where::in(repository.name()),
        "log in with: hf auth login, or set HF_TOKEN");
  return repo::open_pull_request(client, repository, options);
}

void print_json(const Console& console, const RepoReport& report, bool dry_run, bool one_line) {
  std::string out;
  JsonWriter json(out, one_line ? JsonWriter::Style::compact : JsonWriter::Style::pretty);
  json.object()
      .key("schema")
      .value("depickle.convert-repo/1")
      .key("dry_run")
      .value(dry_run)
      .key("outcome")
      .value(name(report.outcome));
  json.key("repo").value(report.repo).key("commit").value(report.commit).key("pull_request");
  report.pull_request ? json.value(*report.pull_request) : json.null();
  json.key("url").value(report.url).key("title").value(report.title).key("description").value(report.description);
  json.key("previous").array();
  for (const repo::PullRequest& pull : report.previous) {
    json.object().key("number").value(pull.discussion.number).key("title").value(pull.discussion.title);
    json.key("author")
        .value(pull.discussion.author)
        .key("status")
        .value(name(pull.discussion.status))
        .key("base")
        .value(pull.base)
        .key("remark")
        .value(pull.remark)
        .end();
  }
  json.end().key("superseded").inline_array();
  for (uint64_t number : report.superseded) json.value(number);
  json.end().key("downloaded_bytes").value(report.downloaded_bytes);
  convert::Report files = report.report;
  files.notes.insert(files.notes.end(), report.notes.begin(), report.notes.end());
  if (report.outcome == Outcome::nothing_to_do && files.up_to_date.empty()) files.up_to_date = report.plan.up_to_date;
  if (report.outcome == Outcome::nothing_to_do && files.skipped.empty()) files.skipped = report.plan.skipped;
  write_report(json, files);
  json.end();
  console.out(one_line ? out + "\n" : out);
}

std::string_view why_nothing(const RepoReport& report) {
  return report.plan.up_to_date.empty() ? "nothing to do: no pickled weights found\n"
                                        : "nothing to do: already safetensors\n";
}

// With a pull request, only its URL goes to stdout; plans and file lists go to stdout too.
void print_text(const Console& console, const RepoReport& report) {
  for (const repo::PullRequest& pull : report.previous)
    if (report.outcome != Outcome::already_open)
      console.say(
          fmt::format("note: pull request #{} of {} {}\n", pull.discussion.number, printable(pull.discussion.author),
              pull.remark.empty() ? "adds some of these files" : "does not count: " + printable(pull.remark)));
  switch (report.outcome) {
    case Outcome::nothing_to_do:
      for (const convert::SkippedFile& file : report.plan.skipped)
        console.say(fmt::format("skipped  {}: {}\n", printable(file.file.string()), printable(file.reason)));
      return console.say(why_nothing(report));
    case Outcome::already_open:
      console.say(fmt::format("nothing to do: pull request #{} of {} contains the same weights\n",
          report.pull_request.value_or(0), printable(report.previous.front().discussion.author)));
      return console.out(report.url + "\n");
    case Outcome::planned:
      console.out(fmt::format("at commit {}\n", report.commit));
      print_report(console, report.report, true);
      if (!report.description.empty())
        console.out(fmt::format("\npull request: {}\n\n{}", report.title, report.description));
      return;
    case Outcome::failed:
      for (const convert::FailedFile& failure : report.report.failed) console.error(failure.error);
      return console.say("no pull request was opened: it would not contain all weights\n");
    case Outcome::written: return print_report(console, report.report, false);
    case Outcome::opened: {
      console.say(convert::counts_text(report.report.files) + ".\n");
      for (uint64_t number : report.superseded)
        console.say(fmt::format("closed #{}, which is based on an older commit\n", number));
      for (const std::string& note : report.notes) console.say(fmt::format("note: {}\n", printable(note)));
      return console.out(report.url + "\n");
    }
  }
}

int code_of(const RepoReport& report) {
  switch (report.outcome) {
    case Outcome::nothing_to_do:
    case Outcome::already_open: return kNothingToDo;
    case Outcome::failed: return exit_code(report.report.failed.front().error.code());
    case Outcome::planned:
    case Outcome::written:
    case Outcome::opened: return kYes;
  }
  return kCouldNot;
}

}  // namespace

int convert_repo(const RepoConversion& request, const Console& console) {
  check_request(request);
  ProgressBar bar(console, request.events);
  RepoReport report = work(request, bar.listener());
  bar.clear();
  // In a folder, the converted files are kept even if others failed.
  if (report.outcome == Outcome::failed && !request.pull_request && !request.dry_run && !request.json &&
      !request.events) {
    print_report(console, report.report, false);
    return code_of(report);
  }
  if (request.json || request.events) {
    print_json(console, report, request.dry_run, request.events);
    for (const convert::FailedFile& failure : report.report.failed) console.error(failure.error);
  } else {
    print_text(console, report);
  }
  return code_of(report);
}

}  // namespace depickle::cli
