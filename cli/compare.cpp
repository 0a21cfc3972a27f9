// depickle compare: compares two models, tensor by tensor, bit for bit.
#include <algorithm>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/progress_bar.h"
#include "cli/sandbox.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"

namespace depickle::cli {
namespace {

using convert::Comparison;
using convert::Difference;
using convert::DifferenceKind;
using Models = std::vector<weights::NamedModel>;

struct CompareCommand {
  std::string a, b;
  weights::OpenOptions open;
  bool json = false;
  bool events = false;
};

std::string_view label(DifferenceKind kind) {
  switch (kind) {
    case DifferenceKind::bytes: return "different";
    case DifferenceKind::dtype: return "dtype";
    case DifferenceKind::shape: return "shape";
    case DifferenceKind::only_in_a: return "missing";
    case DifferenceKind::only_in_b: return "added";
  }
  return "different";
}

void print_json(const Console& console, const Comparison& comparison, bool one_line) {
  std::string out;
  JsonWriter json(out, one_line ? JsonWriter::Style::compact : JsonWriter::Style::pretty);
  json.object().key("schema").value("depickle.compare/1").key("identical").value(comparison.is_identical());
  json.key("tensors_compared")
      .value(comparison.tensors)
      .key("tensors_identical")
      .value(comparison.identical)
      .key("bytes_compared")
      .value(comparison.compared_bytes);
  json.key("tensors").array();
  for (const Difference& difference : comparison.differences) {
    json.object()
        .key("name")
        .value(difference.name)
        .key("finding")
        .value(label(difference.kind))
        .key("a")
        .value(difference.a)
        .key("b")
        .value(difference.b);
    if (difference.kind == DifferenceKind::bytes) json.key("element").value(difference.element);
    json.end();
  }
  for (const convert::Tied& tied : comparison.tied)
    json.object().key("name").value(tied.name).key("finding").value("tied").key("kept").value(tied.kept).end();
  json.end().end();
  console.out(one_line ? out + "\n" : out);
}

void print_text(const Console& console, const Comparison& comparison) {
  std::string sentence =
      fmt::format("{} of {} identical.", grouped(comparison.identical), plural(comparison.tensors, "tensor"));
  console.out(console.painted(comparison.is_identical() ? Color::green : Color::red, sentence) + "\n");
  for (const convert::Tied& tied : comparison.tied)
    console.out(fmt::format("tied     {} is {}\n", printable(tied.name), printable(tied.kept)));
  for (const Difference& difference : comparison.differences)
    console.out(fmt::format("{:<9}{}\n", label(difference.kind), convert::describe(difference)));
}

// Adds the tensors of a component that the other pipeline does not have.
void add_missing(
    Comparison& comparison, const std::string& component, const convert::TableSummary& table, DifferenceKind kind) {
  for (const convert::DigestedTensor& tensor : table.tensors)
    comparison.differences.push_back({.kind = kind, .name = component + "/" + tensor.name, .a = {}, .b = {}});
  comparison.tensors += table.tensors.size();
}

void add_component(Comparison& comparison, const std::string& component, Comparison part) {
  comparison.tensors += part.tensors;
  comparison.identical += part.identical;
  comparison.compared_bytes += part.compared_bytes;
  for (Difference& difference : part.differences) {
    difference.name = component + "/" + difference.name;
    comparison.differences.push_back(std::move(difference));
  }
  for (convert::Tied& tied : part.tied)
    comparison.tied.push_back({component + "/" + tied.name, component + "/" + tied.kept});
}

// Compares two models, or the components of two pipelines by their names.
Comparison compare(convert::Engine& engine, const Models& a, const Models& b, const CompareCommand& options,
    const Progress& progress) {
  auto compare_two = [&](const weights::NamedModel& in_a, const weights::NamedModel& in_b) {
    return engine.compare_models(in_a.model, in_b.model,
        {.open_a = options.open,
            .open_b = options.open,
            .progress = progress,
            .file = in_b.component.empty() ? options.b : in_b.component});
  };
  if (a.size() == 1 && b.size() == 1) return compare_two(a.front(), b.front());
  for (const auto& [models, address] : {std::pair(&a, &options.a), std::pair(&b, &options.b)})
    if (models->front().component.empty())
      throw Error(Code::unsupported, "", "is one model, and the other is a pipeline", Where::in(*address),
          "name a component of the pipeline");
  Comparison comparison;
  for (const weights::NamedModel& in_a : a) {
    const auto in_b = std::ranges::find(b, in_a.component, &weights::NamedModel::component);
    if (in_b != b.end()) {
      add_component(comparison, in_a.component, compare_two(in_a, *in_b));
    } else {
      add_missing(comparison, in_a.component, engine.summarize(in_a.model, {}), DifferenceKind::only_in_a);
    }
  }
  for (const weights::NamedModel& in_b : b)
    if (std::ranges::find(a, in_b.component, &weights::NamedModel::component) == a.end())
      add_missing(comparison, in_b.component, engine.summarize(in_b.model, {}), DifferenceKind::only_in_b);
  return comparison;
}

}  // namespace

void add_compare(CLI::App& app, Program& program) {
  auto options = std::make_shared<CompareCommand>();
  CLI::App* command = app.add_subcommand("compare", "Compare two models of any format, tensor by tensor");
  command->add_option("A", options->a, "Weights file, folder, *.index.json, or hf://ORG/NAME[@REV][/PATH]")->required();
  command->add_option("B", options->b, "The other model")->required();
  command->add_option("--root", options->open.root, "Part of a nested checkpoint to compare")->type_name("PATH");
  command->add_flag("--json", options->json, "Print one JSON object");
  command->add_flag("--events", options->events, "Print JSON Lines: progress, then the result");
  add_sandbox_option(*command, program);
  command->callback([options, &program] {
    program.run = [options, &program] {
      const Models a = find_models(options->a), b = find_models(options->b);
      ProgressBar bar(program.console, options->events);
      const Comparison comparison = compare(file_engine(program), a, b, *options, bar.listener());
      bar.clear();
      const bool wants_json = options->json || options->events;
      wants_json ? print_json(program.console, comparison, options->events) : print_text(program.console, comparison);
      return comparison.is_identical() ? kYes : kNo;
    };
  });
}

}  // namespace depickle::cli
