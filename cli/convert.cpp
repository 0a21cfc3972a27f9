// depickle convert: a pickled file or folder becomes safetensors, proved to be the same.
#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/progress_bar.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "depickle/convert/convert.h"

namespace depickle::cli {
namespace {

using convert::FileReport;
using convert::Report;

struct Options {
  std::string source;
  std::string target;
  std::string receipt;
  convert::Options convert;
  bool dry_run = false;
  bool json = false;
  bool events = false;
};

void write_file(JsonWriter& json, const FileReport& file) {
  json.object()
      .key("source")
      .value(file.source.string())
      .key("target")
      .value(file.target.string())
      .key("container")
      .value(file.container)
      .key("root")
      .value(file.root);
  json.key("tensors")
      .value(file.tensors)
      .key("identical")
      .value(file.identical)
      .key("tensor_bytes")
      .value(file.tensor_bytes)
      .key("file_bytes")
      .value(file.file_bytes)
      .key("seconds")
      .value(file.seconds);
  json.key("tied").array();
  for (const convert::Tied& tied : file.tied)
    json.object().key("name").value(tied.name).key("kept").value(tied.kept).end();
  json.end().key("leftovers").array();
  for (const Leftover& left : file.leftovers)
    json.object()
        .key("path")
        .value(left.path)
        .key("description")
        .value(left.description)
        .key("tensors")
        .value(left.tensors)
        .end();
  json.end().key("skipped").array();
  for (const Unsupported& tensor : file.skipped)
    json.object().key("name").value(tensor.name).key("what").value(tensor.what).end();
  json.end().key("notes").array();
  for (const std::string& note : file.notes) json.value(note);
  json.end().end();
}

std::string report_json(const Report& report, bool dry_run, JsonWriter::Style style) {
  std::string out;
  JsonWriter json(out, style);
  json.object().key("schema").value("depickle.convert/1").key("dry_run").value(dry_run).key("files").array();
  for (const FileReport& file : report.files) write_file(json, file);
  json.end().key("indexes").array();
  for (const convert::IndexReport& index : report.indexes)
    json.object()
        .key("source")
        .value(index.source.string())
        .key("target")
        .value(index.target.string())
        .key("total_size")
        .value(index.total_bytes)
        .end();
  auto write_left = [&](std::string_view key, const std::vector<convert::Left>& files) {
    json.end().key(key).array();
    for (const convert::Left& left : files)
      json.object().key("file").value(left.file.string()).key("reason").value(left.reason).end();
  };
  write_left("already", report.already);
  write_left("left", report.left);
  json.end().key("failed").array();
  for (const convert::Failure& failure : report.failed)
    json.object()
        .key("file")
        .value(failure.file.string())
        .key("error")
        .value(failure.error.what())
        .key("hint")
        .value(failure.error.hint())
        .end();
  json.end().key("notes").array();
  for (const std::string& note : report.notes) json.value(note);
  json.end().end();
  return out;
}

class Printer {
 public:
  Printer(const Console& console, bool dry_run) : console_(console), dry_run_(dry_run) {}

  void print(const Report& report) const {
    bool many = report.files.size() > 1 || !report.indexes.empty();
    for (const FileReport& file : report.files) print_file(file, many);
    for (const convert::IndexReport& index : report.indexes) {
      line("index", fmt::format("{}{}, {} of tensors", dry_run_ ? "would write " : "", printable(index.target.string()),
                        human_bytes(index.total_bytes)));
      for (const std::string& note : index.notes) line("note", printable(note));
    }
    for (const convert::Left& left : report.already)
      line("already", fmt::format("{}: {}", printable(left.file.string()), printable(left.reason)));
    for (const convert::Left& left : report.left)
      line("left", fmt::format("{}: {}", printable(left.file.string()), printable(left.reason)));
    for (const std::string& note : report.notes) line("note", printable(note));
    for (const convert::Failure& failure : report.failed) console_.error(failure.error);
    if (report.nothing_to_do())
      console_.say(report.already.empty() ? "nothing to do: no pickled weights here\n"
                                          : "nothing to do: it is safetensors already\n");
  }

 private:
  void line(std::string_view word, std::string_view what) const {
    console_.out(fmt::format("{} {}\n", console_.painted(Colour::dim, fmt::format("{:<8}", word)), what));
  }

  void print_file(const FileReport& file, bool many) const {
    std::string which = many || dry_run_ ? fmt::format("{}: ", printable(file.target.string())) : "";
    if (dry_run_) {
      console_.out(
          fmt::format("would write {}{}, {}\n", which, plural(file.tensors, "tensor"), human_bytes(file.file_bytes)));
    } else {
      console_.out(which +
                   console_.painted(Colour::green, fmt::format("{} of {} identical, to the last bit.",
                                                       grouped(file.identical), plural(file.tensors, "tensor"))) +
                   fmt::format(" {} in {:.2f} s.\n", human_bytes(file.file_bytes), file.seconds));
    }
    if (!file.root.empty()) line("part", fmt::format("{} was taken", quoted(file.root)));
    for (const convert::Tied& tied : file.tied)
      line("tied", fmt::format("{} is {}, stored once", printable(tied.name), printable(tied.kept)));
    print_leftovers(file);
    for (const Unsupported& tensor : file.skipped)
      line(
          "skipped", fmt::format("{}: {}, which safetensors cannot hold", quoted(tensor.name), printable(tensor.what)));
    for (const std::string& note : file.notes) line("note", printable(note));
  }

  void print_leftovers(const FileReport& file) const {
    constexpr size_t kMost = 12;
    std::string names;
    for (size_t i = 0; i < file.leftovers.size() && i < kMost; ++i) {
      const Leftover& left = file.leftovers[i];
      names += fmt::format("{}{}", i ? ", " : "", quoted(left.path, 60));
      if (left.tensors > 0) names += fmt::format(" ({})", plural(left.tensors, "tensor"));
    }
    if (file.leftovers.size() > kMost) names += fmt::format(" and {} more", file.leftovers.size() - kMost);
    if (!names.empty()) line("left", names + " (not weights)");
  }

  const Console& console_;
  bool dry_run_;
};

Report convert_address(const Options& options, const Progress& progress) {
  namespace fs = std::filesystem;
  fs::path source = local_path(options.source);
  bool folder = fs::is_directory(source);
  fs::path beside = source.has_parent_path() ? source.parent_path() : fs::path(".");
  fs::path target = !options.target.empty() ? fs::path(options.target) : folder ? source : beside;
  if (options.dry_run)
    return folder ? convert::plan_folder(source, target, options.convert)
                  : convert::plan_file(source, target, options.convert);
  return folder ? convert::convert_folder(source, target, options.convert, progress)
                : convert::convert_file(source, target, options.convert, progress);
}

int run(const Options& options, const Console& console) {
  ProgressBar bar(console, options.events);
  Report report = convert_address(options, bar.listener());
  bar.clear();
  if (options.json || options.events) {
    bool lines = options.events;
    console.out(report_json(report, options.dry_run, lines ? JsonWriter::Style::compact : JsonWriter::Style::pretty) +
                (lines ? "\n" : ""));
    for (const convert::Failure& failure : report.failed) console.error(failure.error);
  } else {
    Printer(console, options.dry_run).print(report);
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
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("convert", "Convert a file or a folder to safetensors, and prove that nothing changed");
  command->add_option("SRC", options->source, "A pickled weights file, or a model's folder")->required();
  command
      ->add_option("-o,--output", options->target,
          "The file or folder to write; default: beside the source, under its usual name")
      ->type_name("OUT");
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
