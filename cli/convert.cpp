// depickle convert: a pickled file or folder becomes safetensors, proved to be the same.
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
#include "cli/environment.h"
#include "cli/exit_code.h"
#include "cli/progress_bar.h"
#include "cli/sandbox.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "depickle/convert/convert.h"

namespace depickle::cli {
namespace {

using convert::Report;

struct ConvertCommand {
  std::string source;
  std::string target;
  std::string receipt;
  convert::Options convert;
  bool pull_request = false;
  bool dry_run = false;
  bool json = false;
  bool events = false;
  bool sandbox = true;
};

std::string report_json(const Report& report, bool dry_run, JsonWriter::Style style) {
  std::string out;
  JsonWriter json(out, style);
  json.object().key("schema").value("depickle.convert/1").key("dry_run").value(dry_run);
  write_report(json, report);
  json.end();
  return out;
}

Report convert_address(const ConvertCommand& options, const Progress& progress) {
  namespace fs = std::filesystem;
  fs::path source = local_path(options.source);
  bool folder = fs::is_directory(source);
  fs::path beside = source.has_parent_path() ? source.parent_path() : fs::path(".");
  fs::path target = !options.target.empty() ? fs::path(options.target) : folder ? source : beside;
  if (options.dry_run)
    return folder ? convert::dry_run_folder(source, target, options.convert)
                  : convert::dry_run_file(source, target, options.convert);
  return folder ? convert::convert_folder(source, target, options.convert, progress)
                : convert::convert_file(source, target, options.convert, progress);
}

// A repository: by its address, or as ORG/NAME where no file could be meant.
std::optional<hub::Address> repository_in(const ConvertCommand& options) {
  if (auto address = hub_address(options.source)) return address;
  if (!options.pull_request && !looks_like_repository(options.source)) return std::nullopt;
  return hub::parse_address(options.source, hub_settings().endpoint);
}

int run(ConvertCommand& options, const Console& console) {
  sandbox::Sandbox sandbox(sandbox_options());
  if (options.sandbox) options.convert.engine = &sandbox;
  if (const auto repository = repository_in(options)) {
    return convert_repo({.repository = *repository,
                            .target = options.target,
                            .convert = options.convert,
                            .pull_request = options.pull_request,
                            .dry_run = options.dry_run,
                            .json = options.json,
                            .events = options.events},
        console);
  }
  ProgressBar bar(console, options.events);
  Report report = convert_address(options, bar.listener());
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

// CLI11's own check of this kind lists the choices in a form that only C++ programmers read.
CLI::Validator one_of(std::vector<std::string> words) {
  std::string list = fmt::format("{}", fmt::join(words, "|"));
  return CLI::Validator(
      [words, list](std::string& word) {
        return std::ranges::find(words, word) != words.end() ? "" : fmt::format("{} is none of {}", word, list);
      },
      list);
}

}  // namespace

void add_convert(CLI::App& app, Program& program) {
  auto options = std::make_shared<ConvertCommand>();
  CLI::App* command = app.add_subcommand(
      "convert", "Convert a file, a folder or a repository to safetensors, and prove that nothing changed");
  command->add_option("SRC", options->source, "A pickled weights file, a model's folder, or ORG/NAME[@REV] on the Hub")
      ->required();
  command
      ->add_option("-o,--output", options->target,
          "The file or folder to write; default: beside the source, under its usual name")
      ->type_name("OUT");
  command->add_flag("--pr", options->pull_request, "Open a pull request with the result; its address goes to stdout");
  command->add_flag("-f,--force", options->convert.force, "Replace files that exist");
  command->add_flag("-n,--dry-run", options->dry_run, "Say what would be written, and write nothing");
  command->add_option("--receipt", options->receipt, "Write a receipt that `depickle verify` proves again")
      ->type_name("FILE");
  command
      ->add_option("--root", options->convert.open.root,
          "The part of a nested checkpoint to take (\".\" is everything; default: the model's weights)")
      ->type_name("PATH");
  command
      ->add_option("--align", options->convert.plan.align_bytes, "Where the data begins: a multiple of this many bytes")
      ->check(one_of({"8", "64", "4096"}));
  auto set_ties = [options](const std::string& word) {
    options->convert.plan.ties = word == "copy" ? convert::PlanOptions::Ties::copy : convert::PlanOptions::Ties::once;
  };
  command
      ->add_option_function<std::string>(
          "--tied", set_ties, "Tied tensors: hf stores one and records the other names, copy stores each")
      ->check(one_of({"hf", "copy"}));
  command->add_option("--keep", options->convert.plan.tied_names.keep, "Of tied names, keep this one")
      ->type_name("NAME");
  command->add_option("--discard", options->convert.plan.tied_names.discard, "Of tied names, drop this one")
      ->type_name("NAME");
  command->add_flag(
      "--skip-unsupported", options->convert.plan.skip_unsupported, "Leave out tensors that safetensors cannot hold");
  command->add_flag_callback(
      "--no-checksums", [options] { options->convert.checksums = false; },
      "Convert a file that is not what its own checksums say");
  command->add_flag_callback(
      "--no-sync", [options] { options->convert.durable = os::Durable::no; },
      "Do not wait for the disk: faster, but a power cut may leave the new files incomplete");
  command->add_flag_callback(
      "--no-sandbox", [options] { options->sandbox = false; },
      "Read the file in this process, where the kernel has no seccomp: a bug in a reader could then reach all that you "
      "can");
  command->add_flag("--json", options->json, "One JSON object (docs/json.md)");
  command->add_flag("--events", options->events, "JSON Lines: progress as it happens, then the result");
  command->callback([options, &program] {
    program.run = [options, &program] {
      if (!options->receipt.empty()) options->convert.receipt = options->receipt;
      return run(*options, program.console);
    };
  });
}

}  // namespace depickle::cli
