// Opens files, folders and indexes: decides by content and builds the table.
#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/file_kind.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/formats/safetensors/header.h"
#include "depickle/formats/safetensors/index.h"
#include "depickle/formats/torch/table.h"
#include "depickle/os/mapped_file.h"
#include "depickle/weights/builder.h"
#include "depickle/weights/pick.h"
#include "depickle/weights/shard_files.h"

namespace depickle::weights {
namespace {

namespace fs = std::filesystem;
using detect::FileKind;

Weights open_safetensors(std::shared_ptr<const ByteSource> file) {
  auto header = std::make_shared<safetensors::Header>(safetensors::Header::read(*file));
  Builder builder(FileKind::safetensors);
  uint32_t data = builder.add_storage({.key = "",
      .source = file,
      .offset_bytes = header->data_begin(),
      .size_bytes = file->size_bytes() - header->data_begin()});
  builder.reserve(header->entries().size());
  for (const safetensors::Entry& entry : header->entries()) {
    builder.add({.name = entry.name,
        .shape = entry.shape,
        .strides = {},
        .offset_bytes = entry.begin,
        .size_bytes = entry.size_bytes(),
        .storage = data,
        .dtype = entry.dtype});
  }
  builder.metadata(header->metadata()).own(header).file(std::move(file));
  return std::move(builder).build_unique();
}

Weights open_torch(const std::shared_ptr<const ByteSource>& file, const OpenOptions& options) {
  torch::Table table =
      torch::read_table(file, {.root = options.root, .expand_limit_bytes = options.expand_limit_bytes});
  Builder builder(table.kind);
  builder.reserve(table.tensors.size());
  try {
    for (Storage& storage : table.storages) builder.add_storage(std::move(storage));
    for (const Tensor& tensor : table.tensors) builder.add(tensor);
    builder.own(table.owner).root(table.root).unused(std::move(table.unused)).unsupported(std::move(table.unsupported));
    for (std::string& note : table.notes) builder.note(std::move(note));
    builder.file(file);
    table = {};
    return std::move(builder).build();
  } catch (const Error& error) {
    throw error.in(file->name());
  }
}

bool is_weights_file_name(std::string_view name) {
  return detect::is_safetensors_name(name) || detect::checkpoint_stem(name);
}

// Returns the files that a library opens first in a folder: one, or one for each component of a pipeline.
std::vector<ModelFile> models_in(const fs::path& folder) {
  try {
    return pick_in(folder).models;
  } catch (const Error& error) {
    if (error.code() != Code::not_found || error.reason() == Reason::no_such_variant) throw;
    if (!error.where().file.empty()) throw;
  }
  size_t found = 0;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
    found += is_weights_file_name(entry.path().filename().native()) ? 1 : 0;
  if (error) throw system_error(error.value(), "cannot list", folder);
  throw Error(found == 0 ? Code::not_found : Code::unsupported, "",
      fmt::format("the folder contains {} weights files, and none has a standard name", found), Where::in(folder),
      "name one file, or the index of a sharded model");
}

Error missing_shard(const std::string& name, const std::string& index_name) {
  if (!detect::is_weights_name(name))
    return Error(Code::unsupported, "",
        fmt::format("names the shard {}, which does not have a weights file extension", quoted(name)),
        Where::in(index_name));
  return Error(Code::not_found, "", fmt::format("names the shard {}, which does not exist", quoted(name)),
      Where::in(index_name), "download all shards of the model")
      .with_errno(ENOENT);
}

}  // namespace

std::vector<NamedModel> find_models(const fs::path& path) {
  std::error_code ignored;
  std::vector<NamedModel> models;
  if (!fs::is_directory(path, ignored)) {
    models.push_back({"", find_model(path)});
    return models;
  }
  for (const ModelFile& file : models_in(path)) models.push_back({file.component, find_model(path / file.path)});
  return models;
}

Model find_model(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    const std::vector<ModelFile> models = models_in(path);
    if (models.size() == 1) return find_model(path / models.front().path);
    throw Error(Code::unsupported, "", fmt::format("is a pipeline of {}", plural(models.size(), "model")),
        Where::in(path), fmt::format("name one of them: {}", printable((path / models.front().component).native())));
  }
  Model model{.entry = os::MappedFile::open(path)};
  std::array<std::byte, detect::kHeadBytes> head;
  const MutableBytes read = MutableBytes(head).first(std::min<uint64_t>(model.entry->size_bytes(), head.size()));
  model.entry->read(0, read);
  if (detect::file_kind(read) == FileKind::json_object) model.shards = list_shard_files(path.parent_path());
  return model;
}

Weights open(const Model& model, const OpenOptions& options) {
  const ShardFiles& shards = model.shards;
  if (!shards.open || detect::file_kind(*model.entry) != FileKind::json_object) return open(model.entry, options);
  auto open_shard = [&](const std::string& name) {
    const auto found = std::ranges::lower_bound(shards.names, name);
    if (found == shards.names.end() || *found != name) throw missing_shard(name, model.entry->name());
    return shards.open(static_cast<size_t>(found - shards.names.begin()));
  };
  return open_sharded(safetensors::Index::read(*model.entry), model.entry->name(), open_shard, options);
}

Weights open(const fs::path& path, const OpenOptions& options) { return open(find_model(path), options); }

Weights open(std::shared_ptr<const ByteSource> file, const OpenOptions& options) {
  if (detect::file_kind(*file) == FileKind::safetensors) return open_safetensors(std::move(file));
  return open_torch(file, options);
}

namespace {

// One kind for all shards. If they differ, one that is not safetensors: such a model contains a pickle.
FileKind kind_of(std::span<const std::shared_ptr<Weights>> shards) {
  for (const auto& shard : shards)
    if (!shard->is_safetensors()) return shard->kind();
  return FileKind::safetensors;
}

void add_shard(Builder& builder, const Weights& shard, const std::string& shard_name) {
  uint32_t first_storage = 0;
  bool is_first = true;
  for (const Storage& storage : shard.storages()) {
    const uint32_t number = builder.add_storage(storage);
    if (std::exchange(is_first, false)) first_storage = number;
  }
  for (Tensor tensor : shard.tensors()) {
    tensor.storage += first_storage;
    builder.add(tensor);
  }
  for (const std::string& note : shard.notes()) builder.note(fmt::format("{}: {}", printable(shard_name), note));
  for (const auto& file : shard.files()) builder.file(file);
  builder.append_unused(shard.unused(), shard.unsupported());
}

// Returns the metadata of all shards, in order. The first of several values of a key is kept.
std::vector<std::pair<std::string, std::string>> merged_metadata(std::span<const std::shared_ptr<Weights>> shards) {
  std::vector<std::pair<std::string, std::string>> merged;
  std::set<std::string_view> keys;
  for (const auto& shard : shards) {
    for (const auto& entry : shard->metadata())
      if (keys.insert(entry.first).second) merged.push_back(entry);
  }
  return merged;
}

// SX04
void check_index(const safetensors::Index& index, const std::string& index_name, const Weights& weights) {
  for (const auto& [name, shard] : index.weight_map()) {
    if (weights.find(name)) continue;
    throw Error(Code::malformed, "SX04",
        fmt::format("the index lists it in {}, but the shard does not contain it", printable(shard)),
        {.file = index_name, .tensor = std::string(name), .offset_bytes = {}});
  }
}

}  // namespace

// A shard is opened as one file, never as a folder or an index: an index that names itself would recurse forever.
Weights open_sharded(const safetensors::Index& index, const std::string& index_name, const OpenShard& open_shard,
    const OpenOptions& options) {
  std::vector<std::shared_ptr<Weights>> shards;
  for (const std::string& shard_name : index.shards())
    shards.push_back(std::make_shared<Weights>(open(open_shard(shard_name), options)));

  Builder builder(kind_of(shards));
  for (size_t i = 0; i < shards.size(); ++i) {
    add_shard(builder, *shards[i], index.shards()[i]);
    builder.own(shards[i]);
  }
  builder.metadata(merged_metadata(shards)).sharded();
  try {
    Weights weights = std::move(builder).build();
    check_index(index, index_name, weights);
    return weights;
  } catch (const Error& error) {
    throw error.in(index_name);
  }
}

}  // namespace depickle::weights
