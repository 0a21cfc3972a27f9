// depickle check: compares a pull request with its base, file by file and tensor by tensor.
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/progress_bar.h"
#include "cli/sandbox.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "depickle/repo/check.h"

namespace depickle::cli {
namespace {

using repo::Check;

struct CheckCommand {
  std::string address;
  uint64_t number = 0;
  bool json = false;
  bool events = false;
};

void write_findings(JsonWriter& json, const Check& check) {
  json.key("files").array();
  for (const repo::FileChange& file : check.files) {
    json.object()
        .key("file")
        .value(file.path)
        .key("change")
        .value(name(file.change))
        .key("kind")
        .value(name(file.kind));
    json.key("bytes").value(file.size_bytes).key("expected").value(file.is_expected()).end();
  }
  json.end().key("tensors").array();
  for (const repo::TensorFinding& finding : check.tensors) {
    json.object()
        .key("file")
        .value(finding.file)
        .key("name")
        .value(finding.tensor)
        .key("finding")
        .value(name(finding.kind));
    json.key("what").value(finding.what).end();
  }
  json.end().key("notes").array();
  for (const std::string& note : check.notes) json.value(note);
  json.end();
}

void print_json(const Console& console, const hub::RepoId& repository, const Check& check, bool one_line) {
  std::string out;
  JsonWriter json(out, one_line ? JsonWriter::Style::compact : JsonWriter::Style::pretty);
  json.object()
      .key("schema")
      .value("depickle.check/1")
      .key("repo")
      .value(repository.name())
      .key("number")
      .value(check.discussion.number);
  json.key("title")
      .value(check.discussion.title)
      .key("author")
      .value(check.discussion.author)
      .key("status")
      .value(name(check.discussion.status));
  json.key("base")
      .value(check.base)
      .key("head")
      .value(check.head)
      .key("verdict")
      .value(name(check.verdict()))
      .key("sentence")
      .value(check.sentence());
  json.key("tensors_compared")
      .value(check.compared)
      .key("tensors_identical")
      .value(check.identical)
      .key("bytes_compared")
      .value(check.compared_bytes);
  write_findings(json, check);
  json.end();
  console.out(one_line ? out + "\n" : out);
}

void print_text(const Console& console, const Check& check) {
  constexpr size_t kMaxFindings = 100;
  console.out(fmt::format("{}: {}\n",
      console.painted(check.passed() ? Color::green : Color::red, name(check.verdict())), check.sentence()));
  console.out(fmt::format("#{} {} by {} ({}), {} on {}\n", check.discussion.number, quoted(check.discussion.title),
      printable(check.discussion.author), name(check.discussion.status), check.head.substr(0, 8),
      check.base.substr(0, 8)));
  for (const repo::FileChange& file : check.files) {
    const std::string label = fmt::format("{:<10}", name(file.change));
    console.out(fmt::format("{} {}  {}, {}\n", file.is_expected() ? label : console.painted(Color::red, label),
        printable(file.path), name(file.kind), human_bytes(file.size_bytes)));
  }
  for (size_t i = 0; i < std::min(check.tensors.size(), kMaxFindings); ++i) {
    const repo::TensorFinding& finding = check.tensors[i];
    const std::string tensor = finding.tensor.empty() ? "" : fmt::format("tensor {}: ", quoted(finding.tensor));
    console.out(fmt::format("{} {}: {}{}\n", console.painted(Color::red, fmt::format("{:<10}", name(finding.kind))),
        printable(finding.file), tensor, finding.what));
  }
  if (check.tensors.size() > kMaxFindings)
    console.out(fmt::format("           and {} more\n", grouped(check.tensors.size() - kMaxFindings)));
  for (const std::string& note : check.notes) console.out(fmt::format("note       {}\n", printable(note)));
}

int run(const CheckCommand& options, const Program& program) {
  const Console& console = program.console;
  const hub::Address address = repo_address(options.address);
  const uint64_t number = pull_request_number(address, options.number);
  const hub::Client client = hub_client();
  ProgressBar bar(console, options.events);
  const Check check =
      repo::check(client, address.repo, number, {.progress = bar.listener(), .engine = &file_engine(program)});
  bar.clear();
  const bool wants_json = options.json || options.events;
  wants_json ? print_json(console, address.repo, check, options.events) : print_text(console, check);
  return check.passed() ? kYes : kNo;
}

}  // namespace

void add_check(CLI::App& app, Program& program) {
  auto options = std::make_shared<CheckCommand>();
  CLI::App* command =
      app.add_subcommand("check", "Compare a pull request with its base: changed files and every tensor");
  command->add_option("REPO", options->address, "ORG/NAME, or the URL of a pull request")->required();
  command->add_option("NUMBER", options->number, "Number of the pull request");
  command->add_flag("--json", options->json, "Print one JSON object");
  command->add_flag("--events", options->events, "Print JSON Lines: progress, then the result");
  add_sandbox_option(*command, program);
  command->callback([options, &program] { program.run = [options, &program] { return run(*options, program); }; });
}

}  // namespace depickle::cli
