// Finds out what a path is and fills the table from it.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/safetensors/header.h"
#include "depickle/formats/safetensors/index.h"
#include "depickle/formats/torch/table.h"
#include "depickle/os/mapped_file.h"
#include "depickle/weights/builder.h"

namespace depickle::weights {
namespace {

namespace fs = std::filesystem;

Weights open_safetensors(std::shared_ptr<const ByteSource> file) {
  auto header = std::make_shared<safetensors::Header>(safetensors::Header::read(*file));
  Builder builder("safetensors");
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

Weights open_torch(std::shared_ptr<const ByteSource> file, const OpenOptions& options) {
  torch::Table table =
      torch::read_table(file, {.root = options.root, .expand_limit_bytes = options.expand_limit_bytes});
  Builder builder(table.container);
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

Bytes head_of(const ByteSource& file) { return file.view(0, std::min<uint64_t>(file.size_bytes(), 512)); }

// The names that transformers and diffusers look for, in their order.
constexpr std::array kModelNames = {
    "model.safetensors",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "diffusion_pytorch_model.bin",
    "diffusion_pytorch_model.bin.index.json",
};

fs::path model_in(const fs::path& folder) {
  for (const char* name : kModelNames) {
    std::error_code ignored;
    if (fs::exists(folder / name, ignored)) return folder / name;
  }
  constexpr std::array<std::string_view, 5> kEndings = {".safetensors", ".bin", ".pt", ".pth", ".ckpt"};
  std::vector<fs::path> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (std::ranges::find(kEndings, entry.path().extension().string()) != kEndings.end()) found.push_back(entry.path());
  }
  if (error) throw system_error(error.value(), "cannot list", folder);
  if (found.size() == 1) return found[0];
  throw Error(found.empty() ? Code::not_found : Code::unsupported, "",
      fmt::format("the folder holds {} weights files, and none has the name of a model's", found.size()),
      Where::in(folder), "name one file, or the index of a sharded model");
}

bool is_json(Bytes head) {
  std::string_view start = text(head);
  size_t begin = start.find_first_not_of(" \t\r\n");
  return begin != start.npos && start[begin] == '{';
}

}  // namespace

Model find_model(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return find_model(model_in(path));
  return {os::MappedFile::open(path), [folder = path.parent_path()](const std::string& shard_name) {
            return os::MappedFile::open(folder / shard_name);
          }};
}

Weights open(const Model& model, const OpenOptions& options) {
  const Bytes head = head_of(*model.entry);
  if (!model.open_shard || torch::sniff(head) != torch::Format::other || !is_json(head))
    return open(model.entry, options);
  return open_sharded(safetensors::Index::read(*model.entry), model.entry->name(), model.open_shard, options);
}

Weights open(const fs::path& path, const OpenOptions& options) { return open(find_model(path), options); }

Weights open(std::shared_ptr<const ByteSource> file, const OpenOptions& options) {
  switch (torch::sniff(head_of(*file))) {
    case torch::Format::safetensors: return open_safetensors(std::move(file));
    case torch::Format::other: throw torch::not_a_model(*file);
    default: return open_torch(std::move(file), options);
  }
}

// A shard is never a folder or another index: an index that named itself would have no end.
Weights open_sharded(const safetensors::Index& index, const std::string& index_name, const OpenShard& open_shard,
    const OpenOptions& options) {
  Builder builder("");

  std::string container;
  std::vector<std::pair<std::string, std::string>> metadata;
  for (const std::string& shard_name : index.shards()) {
    auto shard = std::make_shared<Weights>(open(open_shard(shard_name), options));
    container = shard->container();
    uint32_t first_storage = 0;
    bool first = true;
    for (const Storage& storage : shard->storages()) {
      uint32_t number = builder.add_storage(storage);
      if (std::exchange(first, false)) first_storage = number;
    }
    for (Tensor tensor : shard->tensors()) {
      tensor.storage += first_storage;
      builder.add(tensor);
    }
    for (const std::string& note : shard->notes()) builder.note(fmt::format("{}: {}", printable(shard_name), note));
    for (const auto& file : shard->files()) builder.file(file);
    for (const auto& entry : shard->metadata()) {
      if (std::ranges::find(metadata, entry.first, &std::pair<std::string, std::string>::first) == metadata.end())
        metadata.push_back(entry);
    }
    builder.append_unused(shard->unused(), shard->unsupported()).own(shard);
  }
  builder.metadata(std::move(metadata)).container(container + ", sharded");
  Weights weights = [&] {
    try {
      return std::move(builder).build();
    } catch (const Error& error) {
      throw error.in(index_name);
    }
  }();
  for (const auto& [name, shard] : index.weight_map()) {
    if (weights.find(name)) continue;
    throw Error(Code::malformed, "SX04",
        fmt::format("the index says that {} holds it, but it does not", printable(shard)),
        {.file = index_name, .tensor = std::string(name), .offset_bytes = {}});
  }
  return weights;
}

}  // namespace depickle::weights
