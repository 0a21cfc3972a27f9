#include "depickle/formats/torch/table.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/torch/flatten.h"

namespace depickle::torch {
namespace {

// The memory that a table points into. The graph is not part of it and is freed before the table is returned.
struct Owner {
  std::shared_ptr<const ByteSource> source, stream;
  Arena keys, names;
};

constexpr std::string_view kConstants = "constants";

// Counts the tensors of a pickle. May add to its storages.
uint64_t count_all_tensors(Contents& contents, uint64_t expand_limit_bytes) {
  Arena names;
  Table table;
  return Flattener(contents, names, table, expand_limit_bytes, false).count_tensors(contents.graph.root());
}

// Returns whether `root` is a path in the constants of a TorchScript archive. An attribute with this name hides them.
bool is_in_constants(const Contents& contents, std::string_view root) {
  if (!contents.constants || !(root == kConstants || root.starts_with("constants."))) return false;
  Tree tree(contents.graph);
  return tree.find(tree.attributes(contents.graph.root()), kConstants) == pickle::kNothing;
}

// Adds the tensors of the part that `options.root` names.
void add_tensors(Contents& contents, const TableOptions& options, Arena& names, Table& table) {
  Flattener flattener(contents, names, table, options.expand_limit_bytes, options.root == ".");
  Tree tree(contents.graph);
  Part part = select_part(flattener, tree, options.root);
  table.root = part.path;
  const bool is_training_state =
      !options.root.empty() && (part.is_training_state || flattener.count_model_tensors(part.handle) == 0);
  if (options.root == "." || is_training_state) flattener.keep_training_state();
  std::string_view last_key =
      part.path.empty() ? std::string_view("tensor") : std::string_view(part.path).substr(part.path.rfind('.') + 1);
  flattener.flatten(part.handle, last_key);
  add_unselected(flattener, part);
}

// The constants have no names: they are named by their numbers in the code, CONSTANTS.c0 as "constants.0".
void add_constants(Contents& constants, const TableOptions& options, Arena& names, Table& table) {
  Flattener flattener(constants, names, table, options.expand_limit_bytes, false);
  const std::string_view path =
      std::string_view(options.root).substr(std::min(options.root.size(), kConstants.size() + 1));
  Part part = select_part(flattener, Tree(constants.graph), path.empty() ? "." : path);
  table.root = options.root;
  flattener.flatten(part.handle, options.root, options.root);
}

// Lists the constants of a TorchScript archive whose model was read.
void list_constants(Contents& contents, uint64_t expand_limit_bytes, Table& table) {
  const uint64_t tensors = contents.constants ? count_all_tensors(*contents.constants, expand_limit_bytes) : 0;
  if (tensors == 0) return;
  const std::string count = plural(tensors, "constant");
  if (table.tensors.empty() && table.unsupported.empty()) {
    table.unused.insert(table.unused.begin(),
        {std::string(kConstants), fmt::format("{} of a frozen TorchScript model, without names", count), tensors});
    contents.notes.push_back(fmt::format("a frozen TorchScript model: its weights are {} without names", count));
  } else {
    table.unused.push_back(
        {std::string(kConstants), fmt::format("{} of TorchScript code, without names", count), tensors});
  }
}

Table fill_table(std::shared_ptr<const ByteSource> source, const TableOptions& options) {
  auto owner = std::make_shared<Owner>();
  owner->source = source;
  Contents contents = read_contents(std::move(source));
  Table table;
  table.kind = contents.kind;
  if (is_in_constants(contents, options.root)) {
    Contents& constants = *contents.constants;
    add_constants(constants, options, owner->names, table);
    table.unused.push_back({"data.pkl", "the model", count_all_tensors(contents, options.expand_limit_bytes)});
    contents.stream = constants.stream;
    contents.storages = std::move(constants.storages);
    contents.arena = std::move(constants.arena);
  } else {
    add_tensors(contents, options, owner->names, table);
    list_constants(contents, options.expand_limit_bytes, table);
  }
  owner->stream = contents.stream;
  for (const std::string& record : contents.unused_records)
    table.unused.push_back({record, "record of the archive", 0});
  table.storages = std::move(contents.storages);
  table.notes = std::move(contents.notes);
  owner->keys = std::move(contents.arena);
  table.owner = std::move(owner);
  return table;
}

}  // namespace

Table read_table(std::shared_ptr<const ByteSource> source, const TableOptions& options) {
  std::string name = source->name();
  try {
    return fill_table(std::move(source), options);
  } catch (const Error& error) {
    throw error.in(name);
  }
}

}  // namespace depickle::torch
