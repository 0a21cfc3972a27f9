// depickle convert: converts a file, a folder or a repository to safetensors and compares the result.
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/convert_repo.h"
#include "cli/convert_report.h"
#include "cli/exit_code.h"
#include "cli/progress_bar.h"
#include "cli/sandbox.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "depickle/convert/convert.h"

namespace depickle::cli {
namespace {

using convert::Report;

constexpr const char* kStdout = "/dev/stdout";

struct ConvertCommand {
  std::string source;
  std::string target;
  std::string receipt;
  convert::Options convert;
  bool pull_request = false;
  bool dry_run = false;
  bool json = false;
  bool events = false;
};

std::string report_json(const Report& report, bool dry_run, JsonWriter::Style style) {
  std::string out;
  JsonWriter json(out, style);
  json.object().key("schema").value("depickle.convert/1").key("dry_run").value(dry_run);
  write_report(json, report);
  json.end();
  return out;
}

// Whether `-o` names the standard output.
bool writes_to_stdout(const ConvertCommand& options) { return options.target == "-" || options.target == kStdout; }

void check_stdout(const ConvertCommand& options, bool is_repository) {
  std::error_code ignored;
  auto refuse = [](std::string_view what, std::string_view hint) {
    throw Error(Code::unsupported, "", std::string(what), Where::in("stdout"), std::string(hint));
  };
  if (is_repository || std::filesystem::is_directory(options.source, ignored))
    refuse("only one file can be written", "name a folder with -o");
  if (options.dry_run) return;
  if (std::filesystem::equivalent(options.source, kStdout, ignored))
    throw Error(Code::io, Reason::target_is_source, "source and target are the same file", Where::in(options.source));
  if (options.json || options.events)
    refuse("the report and the file would both be written", "omit --json and --events");
  if (!options.receipt.empty()) refuse("a receipt contains the name of the target", "name a file with -o");
  if (::isatty(STDOUT_FILENO)) refuse("is a terminal", "redirect it to a file or a pipe, or name a file with -o");
}

Report convert_local(const ConvertCommand& options, const Progress& progress) {
  namespace fs = std::filesystem;
  fs::path source = local_path(options.source);
  std::error_code ignored;
  bool folder = fs::is_directory(source, ignored);
  fs::path beside = source.has_parent_path() ? source.parent_path() : fs::path(".");
  fs::path target = !options.target.empty() ? fs::path(options.target) : folder ? source : beside;
  if (writes_to_stdout(options)) {
    if (options.dry_run) return convert::dry_run_stream(source, kStdout, options.convert);
    return convert::convert_stream(source, STDOUT_FILENO, options.convert, progress);
  }
  if (options.dry_run)
    return folder ? convert::dry_run_folder(source, target, options.convert)
                  : convert::dry_run_file(source, target, options.convert);
  return folder ? convert::convert_folder(source, target, options.convert, progress)
                : convert::convert_file(source, target, options.convert, progress);
}

// Returns the repository to convert; nullopt for a local path.
std::optional<hub::Address> repository_in(const ConvertCommand& options) {
  if (options.pull_request) return repo_address(options.source);
  if (auto address = hub_address(options.source)) return address;
  return repo_address_unless_path(options.source);
}

int run(ConvertCommand& options, Program& program) {
  defer_interrupts();
  Console& console = program.console;
  options.convert.engine = &file_engine(program);
  const std::optional<hub::Address> repository = repository_in(options);
  if (writes_to_stdout(options)) check_stdout(options, repository.has_value());
  if (repository) {
    return convert_repo({.repository = *repository,
                            .target = options.target,
                            .convert = options.convert,
                            .checker = &file_engine(program),
                            .pull_request = options.pull_request,
                            .dry_run = options.dry_run,
                            .json = options.json,
                            .events = options.events},
        console);
  }
  if (writes_to_stdout(options) && !options.dry_run) console.set_out_to_stderr();
  ProgressBar bar(console, options.events);
  Report report = convert_local(options, bar.listener());
  bar.clear();
  if (options.json || options.events) {
    bool lines = options.events;
    console.out(report_json(report, options.dry_run, lines ? JsonWriter::Style::compact : JsonWriter::Style::pretty) +
                (lines ? "\n" : ""));
    for (const convert::FailedFile& failure : report.failed) console.error(failure.error);
  } else {
    print_report(console, report, options.dry_run);
  }
  if (!report.failed.empty()) return exit_code(report.failed.front().error.code());
  return report.nothing_to_do() ? kNothingToDo : kYes;
}

// Unlike CLI::IsMember, lists the choices as a|b|c.
CLI::Validator one_of(std::vector<std::string> words) {
  std::string list = fmt::format("{}", fmt::join(words, "|"));
  return CLI::Validator(
      [words, list](std::string& word) {
        return std::ranges::find(words, word) != words.end() ? "" : fmt::format("{} is not one of {}", word, list);
      },
      list);
}

// Which tensors are converted, and how.
void add_tensor_options(CLI::App& command, const std::shared_ptr<ConvertCommand>& options) {
  command
      .add_option(
          "--root", options->convert.open.root, "Part of a nested checkpoint to convert; \".\" converts everything")
      ->type_name("PATH");
  command.add_option("--align", options->convert.plan.align_bytes, "Alignment of the data in bytes")
      ->check(one_of({"8", "64", "4096"}));
  auto set_ties = [options](const std::string& word) {
    options->convert.plan.ties = word == "copy" ? convert::PlanOptions::Ties::copy : convert::PlanOptions::Ties::once;
  };
  command
      .add_option_function<std::string>(
          "--tied", set_ties, "Tied tensors: hf stores one and records the other names; copy stores each")
      ->check(one_of({"hf", "copy"}));
  command.add_option("--keep", options->convert.plan.tied_names.keep, "Name of tied tensors to store")
      ->type_name("NAME");
  command.add_option("--discard", options->convert.plan.tied_names.discard, "Name of tied tensors not to store")
      ->type_name("NAME");
  command.add_flag(
      "--skip-unsupported", options->convert.plan.skip_unsupported, "Skip tensors that safetensors does not support");
  command.add_flag_callback(
      "--no-checksums", [options] { options->convert.checksums = false; },
      "Convert a file even if its checksums do not match");
}

}  // namespace

void add_convert(CLI::App& app, Program& program) {
  auto options = std::make_shared<ConvertCommand>();
  CLI::App* command = app.add_subcommand("convert", "Convert a file, a folder or a repository to safetensors");
  command->add_option("SRC", options->source, "Weights file, folder, or ORG/NAME[@REV] on the Hub")->required();
  command
      ->add_option("-o,--output", options->target,
          "File or folder to write, - for stdout (default: in the folder of the source)")
      ->type_name("OUT");
  command->add_flag("--pr", options->pull_request, "Open a pull request and print its URL");
  command->add_flag("-f,--force", options->convert.force, "Replace existing files");
  command->add_flag("-n,--dry-run", options->dry_run, "Print the plan and write nothing");
  command->add_option("--receipt", options->receipt, "Write a receipt for depickle verify")->type_name("FILE");
  add_tensor_options(*command, options);
  command->add_flag_callback(
      "--no-sync", [options] { options->convert.durable = os::Durable::no; },
      "Do not sync: faster, but a power failure may leave incomplete files");
  add_sandbox_option(*command, program);
  command->add_flag("--json", options->json, "Print one JSON object");
  command->add_flag("--events", options->events, "Print JSON Lines: progress, then the result");
  command->callback([options, &program] {
    program.run = [options, &program] {
      if (!options->receipt.empty()) options->convert.receipt = options->receipt;
      return run(*options, program);
    };
  });
}

}  // namespace depickle::cli
