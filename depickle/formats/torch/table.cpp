#include "depickle/formats/torch/table.h"

#include "depickle/base/error.h"
#include "depickle/formats/torch/flatten.h"

namespace depickle::torch {
namespace {

// The memory that a table points into. The graph is not part of it and is freed before the table is returned.
struct Owner {
  std::shared_ptr<const ByteSource> source, stream;
  Arena keys, names;
};

Table fill_table(std::shared_ptr<const ByteSource> source, const TableOptions& options) {
  auto owner = std::make_shared<Owner>();
  owner->source = source;
  Contents contents = read_contents(std::move(source));
  owner->stream = contents.stream;

  Table table;
  table.kind = contents.kind;
  Flattener flattener(contents, owner->names, table, options.expand_limit_bytes, options.root == ".");
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
