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
#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "depickle/convert/report_json.h"
#include "depickle/weights/weights.h"

namespace depickle::cli {
namespace {

struct InspectCommand {
  std::string address;
  weights::OpenOptions open;
  bool json = false;
};

// Returns the offset of the tensor's bytes in the file, if the file contains them contiguous and uncompressed.
std::optional<uint64_t> file_offset(const Weights& weights, const Tensor& tensor) {
  const Storage& storage = weights.storage(tensor);
  if (!storage.source->is_file() || !tensor.is_contiguous()) return std::nullopt;
  return storage.offset_bytes + tensor.offset_bytes;
}

std::vector<uint64_t> strides_of(const Tensor& tensor) {
  if (!tensor.strides.empty()) return {tensor.strides.begin(), tensor.strides.end()};
  std::vector<uint64_t> strides(tensor.shape.size());
  uint64_t stride = 1;
  for (size_t i = strides.size(); i-- > 0;
      stride *=
      std::max<uint64_t>(i + 1 == strides.size() && bits(tensor.dtype) == 4 ? tensor.shape[i] / 2 : tensor.shape[i], 1))
    strides[i] = stride;
  return strides;
}

void write_numbers(JsonWriter& json, std::span<const uint64_t> numbers) {
  json.inline_array();
  for (uint64_t number : numbers) json.value(number);
  json.end();
}

void write_tensor(JsonWriter& json, const Weights& weights, const Tensor& tensor) {
  json.object().key("name").value(tensor.name).key("dtype").value(name(tensor.dtype)).key("shape");
  write_numbers(json, tensor.shape);
  json.key("strides");
  write_numbers(json, strides_of(tensor));
  json.key("bytes").value(tensor.size_bytes).key("storage").value(weights.storage(tensor).key).key("offset");
  if (auto offset = file_offset(weights, tensor)) {
    json.value(*offset);
  } else {
    json.null();
  }
  json.end();
}

void print_json(const Console& console, const Weights& weights) {
  std::string out;
  JsonWriter json(out);
  json.object()
      .key("schema")
      .value("depickle.inspect/1")
      .key("container")
      .value(weights.container())
      .key("files")
      .array();
  for (const auto& file : weights.files()) json.value(file->name());
  json.end().key("root").value(weights.root()).key("tensors").array();
  for (const Tensor& tensor : weights.tensors()) {
    write_tensor(json, weights, tensor);
    if (out.size() > 1 << 20) console.out(out), out.clear();
  }
  json.end().key("leftovers");
  convert::write_unused(json, weights.unused());
  json.key("unsupported");
  convert::write_unsupported(json, weights.unsupported());
  json.key("metadata").object();
  for (const auto& [key, value] : weights.metadata()) json.key(key).value(value);
  json.end().key("notes");
  convert::write_texts(json, weights.notes());
  json.end();
  console.out(out);
}

void print_totals(const Console& console, const Weights& weights) {
  std::array<uint64_t, kDtypes> counts{}, sizes{};
  uint64_t all_bytes = 0;
  for (const Tensor& tensor : weights.tensors()) {
    ++counts[static_cast<size_t>(tensor.dtype)];
    sizes[static_cast<size_t>(tensor.dtype)] += tensor.size_bytes;
    all_bytes += tensor.size_bytes;
  }
  std::string text = fmt::format("{}, {}", plural(weights.tensors().size(), "tensor"), human_bytes(all_bytes));
  for (size_t i = kDtypes; i-- > 0;) {
    if (counts[i] > 0)
      text += fmt::format("   {} x {} ({})", grouped(counts[i]), name(static_cast<Dtype>(i)), human_bytes(sizes[i]));
  }
  console.out(console.painted(Color::bold, text) + "\n");
}

void print_text(const Console& console, const std::string& address, const Weights& weights) {
  std::string part = weights.root().empty() ? "" : fmt::format(", part {}", quoted(weights.root()));
  console.out(fmt::format("{}   {}{}\n", printable(address), weights.container(), part));
  size_t width = 4;
  for (const Tensor& tensor : weights.tensors()) width = std::max(width, std::min<size_t>(tensor.name.size(), 60));
  for (const Tensor& tensor : weights.tensors()) {
    std::string shape = fmt::format("[{}]", fmt::join(tensor.shape, ", "));
    std::string_view remark = tensor.is_contiguous()                             ? ""
                              : tensor.conjugate || tensor.negate || tensor.swap ? "  computed"
                                                                                 : "  strided";
    console.out(fmt::format("  {:<{}}  {:<8} {:<20} {:>10}{}\n", printable(tensor.name, 120), width, name(tensor.dtype),
        shape, human_bytes(tensor.size_bytes), remark));
  }
  print_totals(console, weights);
  auto list = [&](std::string_view label, const std::string& what) {
    console.out(fmt::format("{}  {}\n", console.painted(Color::dim, fmt::format("{:<11}", label)), what));
  };
  for (const auto& [key, value] : weights.metadata())
    list("metadata", fmt::format("{} = {}", quoted(key, 60), quoted(value, 120)));
  for (const Unsupported& tensor : weights.unsupported())
    list("unsupported", fmt::format("{}: {}", quoted(tensor.name), printable(tensor.what)));
  for (const Unused& unused : weights.unused())
    list("unused", fmt::format("{}: {}{}", quoted(unused.path), printable(unused.description),
                       unused.tensors ? fmt::format(", {}", plural(unused.tensors, "tensor")) : ""));
  for (const std::string& note : weights.notes()) list("note", printable(note));
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
  command->callback([options, &program] {
    program.run = [options, &program] {
      Weights weights = open_address(options->address, options->open);
      options->json ? print_json(program.console, weights) : print_text(program.console, options->address, weights);
      return kYes;
    };
  });
}

}  // namespace depickle::cli
