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

void check_wish(const RepoConversion& wish) {
  const std::string address = hub::hf_address(wish.repository.repo, wish.repository.revision);
  if (!wish.repository.path.empty())
    throw Error(Code::unsupported, "", "names a file or a folder; a repository is converted as a whole",
        Where::in(address), "leave out the path, or download the file first: depickle download");
  if (wish.repository.repo.type() != hub::RepoType::model)
    throw Error(Code::unsupported, "", "is not a model's repository", Where::in(address));
  if (wish.pull_request && !wish.target.empty())
    throw Error(Code::unsupported, "", "--pr and -o exclude each other", {}, "leave out one of them");
  if (!wish.pull_request && wish.target.empty() && !wish.dry_run)
    throw Error(Code::unsupported, "", "a repository needs a place for the result", Where::in(address),
        "--pr opens a pull request, -o FOLDER writes to this disk");
}

RepoReport work(const RepoConversion& wish, const Progress& progress) {
  const hub::Client client = hub_client();
  const hub::RepoId& repository = wish.repository.repo;
  const repo::ConvertOptions options{
      .revision = wish.repository.revision, .convert = wish.convert, .version = DEPICKLE_VERSION, .progress = progress};
  if (wish.dry_run) return repo::plan_repo(client, repository, options, wish.pull_request);
  if (!wish.pull_request) return repo::convert_repo(client, repository, wish.target, options);
  if (client.settings().token.empty())
    throw Error(Code::denied, "", "a pull request needs a token, and there is none", Where::in(repository.name()),
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
  for (const repo::PullRequest& request : report.previous) {
    json.object().key("number").value(request.discussion.number).key("title").value(request.discussion.title);
    json.key("author")
        .value(request.discussion.author)
        .key("status")
        .value(name(request.discussion.status))
        .key("base")
        .value(request.base)
        .end();
  }
  json.end().key("superseded").inline_array();
  for (uint64_t number : report.superseded) json.value(number);
  json.end().key("downloaded_bytes").value(report.downloaded_bytes);
  convert::Report files = report.report;
  files.notes.insert(files.notes.end(), report.notes.begin(), report.notes.end());
  if (report.outcome == Outcome::nothing_to_do && files.up_to_date.empty()) files.up_to_date = report.plan.already;
  if (report.outcome == Outcome::nothing_to_do && files.skipped.empty()) files.skipped = report.plan.left;
  write_report(json, files);
  json.end();
  console.out(one_line ? out + "\n" : out);
}

std::string_view why_nothing(const RepoReport& report) {
  return report.plan.already.empty() ? "nothing to do: no pickled weights in it\n"
                                     : "nothing to do: it is safetensors already\n";
}

// Text on stdout where the answer is a plan or files; with a pull request, its address alone is the answer.
void print_text(const Console& console, const RepoReport& report) {
  for (const repo::PullRequest& request : report.previous)
    if (report.outcome != Outcome::already_open)
      console.say(fmt::format("note: pull request #{} of {} adds some of these files\n", request.discussion.number,
          printable(request.discussion.author)));
  switch (report.outcome) {
    case Outcome::nothing_to_do:
      for (const convert::SkippedFile& left : report.plan.left)
        console.say(fmt::format("left     {}: {}\n", printable(left.file.string()), printable(left.reason)));
      return console.say(why_nothing(report));
    case Outcome::already_open:
      console.say(fmt::format("nothing to do: pull request #{} of {} does it already\n", *report.pull_request,
          printable(report.previous.front().discussion.author)));
      return console.out(report.url + "\n");
    case Outcome::planned:
      console.out(fmt::format("at commit {}\n", report.commit));
      print_report(console, report.report, true);
      if (!report.description.empty())
        console.out(fmt::format("\npull request: {}\n\n{}", report.title, report.description));
      return;
    case Outcome::failed:
      for (const convert::FailedFile& failure : report.report.failed) console.error(failure.error);
      return console.say("no pull request was opened: a loader needs all of these files\n");
    case Outcome::written: return print_report(console, report.report, false);
    case Outcome::opened: {
      uint64_t tensors = 0, identical = 0;
      for (const convert::FileReport& file : report.report.files) tensors += file.tensors, identical += file.identical;
      console.say(fmt::format("{} of {} identical.\n", grouped(identical), plural(tensors, "tensor")));
      for (uint64_t number : report.superseded)
        console.say(fmt::format("closed #{}, which stood on an older commit\n", number));
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

int convert_repo(const RepoConversion& wish, const Console& console) {
  check_wish(wish);
  ProgressBar bar(console, wish.events);
  RepoReport report = work(wish, bar.listener());
  bar.clear();
  // Without a pull request, the files that went well are worth keeping although others did not.
  if (report.outcome == Outcome::failed && !wish.pull_request && !wish.dry_run && !wish.json && !wish.events) {
    print_report(console, report.report, false);
    return code_of(report);
  }
  if (wish.json || wish.events) {
    print_json(console, report, wish.dry_run, wish.events);
    for (const convert::FailedFile& failure : report.report.failed) console.error(failure.error);
  } else {
    print_text(console, report);
  }
  return code_of(report);
}

}  // namespace depickle::cli
