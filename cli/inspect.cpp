// depickle inspect: lists the content of a file without loading it.
#include <algorithm>
#include <array>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/sandbox.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "depickle/convert/report_json.h"

namespace depickle::cli {
namespace {

using convert::DigestedTensor;
using convert::TableSummary;
using convert::TensorLayout;

struct InspectCommand {
  std::string address;
  weights::OpenOptions open;
  bool json = false;
};

struct NamedTable {
  std::string component;  // empty if the model is not part of a pipeline
  TableSummary table;
};

void write_numbers(JsonWriter& json, std::span<const uint64_t> numbers) {
  json.inline_array();
  for (uint64_t number : numbers) json.value(number);
  json.end();
}

void write_tensor(JsonWriter& json, const DigestedTensor& tensor, const TensorLayout& layout) {
  json.object().key("name").value(tensor.name).key("dtype").value(name(tensor.dtype)).key("shape");
  write_numbers(json, tensor.shape);
  json.key("strides");
  write_numbers(json, layout.strides);
  json.key("bytes").value(tensor.size_bytes).key("storage").value(layout.storage).key("offset");
  if (layout.file_offset) {
    json.value(*layout.file_offset);
  } else {
    json.null();
  }
  json.end();
}

// Writes the members of a table. Passes long output on to the console.
void write_table(JsonWriter& json, std::string& out, const Console& console, const TableSummary& table) {
  json.key("container").value(table.container).key("files").array();
  for (const std::string& file : table.files) json.value(file);
  json.end().key("root").value(table.root).key("tensors").array();
  for (size_t i = 0; i < table.tensors.size(); ++i) {
    write_tensor(json, table.tensors[i], table.layouts.at(i));
    if (out.size() > 1 << 20) console.out(out), out.clear();
  }
  json.end().key("leftovers");
  convert::write_unused(json, table.unused);
  json.key("unsupported");
  convert::write_unsupported(json, table.unsupported);
  json.key("metadata").object();
  for (const auto& [key, value] : table.metadata) json.key(key).value(value);
  json.end().key("notes");
  convert::write_texts(json, table.notes);
}

void print_json(const Console& console, const std::vector<NamedTable>& tables) {
  std::string out;
  JsonWriter json(out);
  json.object().key("schema");
  if (tables.front().component.empty()) {
    json.value("depickle.inspect/1");
    write_table(json, out, console, tables.front().table);
  } else {
    json.value("depickle.inspect-pipeline/1").key("components").array();
    for (const NamedTable& named : tables) {
      json.object().key("component").value(named.component);
      write_table(json, out, console, named.table);
      json.end();
    }
    json.end();
  }
  json.end();
  console.out(out);
}

void print_totals(const Console& console, const TableSummary& table) {
  std::array<uint64_t, kDtypes> counts{}, sizes{};
  uint64_t all_bytes = 0;
  for (const DigestedTensor& tensor : table.tensors) {
    ++counts[static_cast<size_t>(tensor.dtype)];
    sizes[static_cast<size_t>(tensor.dtype)] += tensor.size_bytes;
    all_bytes += tensor.size_bytes;
  }
  std::string text = fmt::format("{}, {}", plural(table.tensors.size(), "tensor"), human_bytes(all_bytes));
  for (size_t i = kDtypes; i-- > 0;) {
    if (counts[i] > 0)
      text += fmt::format("   {} x {} ({})", grouped(counts[i]), name(static_cast<Dtype>(i)), human_bytes(sizes[i]));
  }
  console.out(console.painted(Color::bold, text) + "\n");
}

std::string_view remark(TensorLayout::Kind kind) {
  switch (kind) {
    case TensorLayout::Kind::contiguous: return "";
    case TensorLayout::Kind::strided: return "  strided";
    case TensorLayout::Kind::computed: return "  computed";
  }
  return "";
}

void print_text(const Console& console, const std::string& address, const TableSummary& table) {
  const std::string part = table.root.empty() ? "" : fmt::format(", part {}", quoted(table.root));
  console.out(fmt::format("{}   {}{}\n", printable(address), table.container, part));
  size_t width = 4;
  for (const DigestedTensor& tensor : table.tensors) width = std::max(width, std::min<size_t>(tensor.name.size(), 60));
  for (size_t i = 0; i < table.tensors.size(); ++i) {
    const DigestedTensor& tensor = table.tensors[i];
    const std::string shape = fmt::format("[{}]", fmt::join(tensor.shape, ", "));
    console.out(fmt::format("  {:<{}}  {:<8} {:<20} {:>10}{}\n", printable(tensor.name, 120), width, name(tensor.dtype),
        shape, human_bytes(tensor.size_bytes), remark(table.layouts.at(i).kind)));
  }
  print_totals(console, table);
  auto list = [&](std::string_view label, const std::string& what) {
    console.out(fmt::format("{}  {}\n", console.painted(Color::dim, fmt::format("{:<11}", label)), what));
  };
  for (const auto& [key, value] : table.metadata)
    list("metadata", fmt::format("{} = {}", quoted(key, 60), quoted(value, 120)));
  for (const Unsupported& tensor : table.unsupported)
    list("unsupported", fmt::format("{}: {}", quoted(tensor.name), printable(tensor.what)));
  for (const Unused& unused : table.unused)
    list("unused", fmt::format("{}: {}{}", quoted(unused.path), printable(unused.description),
                       unused.tensors ? fmt::format(", {}", plural(unused.tensors, "tensor")) : ""));
  for (const std::string& note : table.notes) list("note", printable(note));
}

}  // namespace

void add_inspect(CLI::App& app, Program& program) {
  auto options = std::make_shared<InspectCommand>();
  CLI::App* command = app.add_subcommand("inspect", "List tensors: name, dtype, shape, bytes");
  command->add_option("ADDR", options->address, "Weights file, folder, *.index.json, or hf://ORG/NAME[@REV][/PATH]")
      ->required();
  command->add_option("--root", options->open.root, "Part of a nested checkpoint to list; \".\" lists everything")
      ->type_name("PATH");
  command->add_flag("--json", options->json, "Print one JSON object");
  add_sandbox_option(*command, program);
  command->callback([options, &program] {
    program.run = [options, &program] {
      std::vector<NamedTable> tables;
      for (const weights::NamedModel& model : find_models(options->address))
        tables.push_back(
            {model.component, file_engine(program).summarize(model.model, {.open = options->open, .layouts = true})});
      if (options->json) {
        print_json(program.console, tables);
        return kYes;
      }
      for (const NamedTable& named : tables)
        print_text(program.console,
            named.component.empty() ? options->address : fmt::format("{}/{}", options->address, named.component),
            named.table);
      return kYes;
    };
  });
}

}  // namespace depickle::cli
