#include "depickle/weights/model_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/formats/detect/file_name.h"

namespace depickle::weights {
namespace {

struct Stem {
  std::string_view pickle, safetensors;
};
constexpr std::string_view kDiffusersStem = "diffusion_pytorch_model";
constexpr std::array<Stem, 6> kKnownStems = {{
    {"pytorch_model", "model"},
    {"diffusion_pytorch_model", "diffusion_pytorch_model"},
    {"adapter_model", "adapter_model"},
    {"pytorch_lora_weights", "pytorch_lora_weights"},
    {"learned_embeds", "learned_embeds"},
    {"prior_diffusion_pytorch_model", "prior_diffusion_pytorch_model"},
}};

// The numbers in "-00001-of-00002", and what stands before and after it.
struct ShardNumbers {
  unsigned shard, shards;
  std::string_view before, after;
};

bool read_number(std::string_view digits, unsigned& number) {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return digits.size() == 5 && error == std::errc{} && end == digits.data() + digits.size();
}

std::optional<ShardNumbers> shard_numbers(std::string_view text) {
  constexpr std::string_view kMiddle = "-of-";
  constexpr size_t kDigits = 5;
  const size_t middle = text.rfind(kMiddle);
  if (middle == text.npos || middle < kDigits + 1 || text[middle - kDigits - 1] != '-') return std::nullopt;
  ShardNumbers found{};
  const size_t end = middle + kMiddle.size() + kDigits;
  if (end > text.size() || !read_number(text.substr(middle - kDigits, kDigits), found.shard) ||
      !read_number(text.substr(middle + kMiddle.size(), kDigits), found.shards))
    return std::nullopt;
  if (found.shard == 0 || found.shard > found.shards) return std::nullopt;
  found.before = text.substr(0, middle - kDigits - 1);
  found.after = text.substr(end);
  return found;
}

bool remove_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

// Divides "model.fp16" into the stem and the variant. Returns false if no library looks for the stem.
bool read_stem(std::string_view text, ModelName& name) {
  const size_t dot = text.find('.');
  const std::string_view stem = text.substr(0, dot);
  const auto known = std::ranges::find(kKnownStems, stem, name.is_pickle ? &Stem::pickle : &Stem::safetensors);
  if (known == kKnownStems.end()) return false;
  name.stem = known->safetensors;
  if (dot == text.npos) return true;
  if (!name.variant.empty() || dot + 1 == text.size()) return false;
  name.variant = text.substr(dot + 1);
  return true;
}

// Reads diffusion_pytorch_model.safetensors.VARIANT, without ".index.json".
bool read_old_index_name(std::string_view text, ModelName& name) {
  constexpr std::string_view kBegin = "diffusion_pytorch_model.safetensors.";
  if (!text.starts_with(kBegin) || text.size() == kBegin.size()) return false;
  name.stem = kDiffusersStem;
  name.variant = text.substr(kBegin.size());
  name.is_old_index = true;
  return true;
}

bool read_index_name(std::string_view text, ModelName& name) {
  constexpr std::string_view kIndex = ".index";
  const size_t index = text.rfind(kIndex);
  if (!remove_suffix(text, ".json") || index == text.npos) return false;
  std::string_view variant = text.substr(index + kIndex.size());
  if (!variant.empty() && (variant.front() != '.' || variant.size() == 1)) return false;
  if (!variant.empty()) name.variant = variant.substr(1);
  text = text.substr(0, index);
  name.part = ModelName::Part::index;
  if (name.variant.empty() && read_old_index_name(text, name)) return true;
  name.is_pickle = text.ends_with(".bin");
  return remove_suffix(text, name.is_pickle ? ".bin" : ".safetensors") && read_stem(text, name);
}

bool read_file_name(std::string_view text, ModelName& name) {
  name.is_pickle = text.ends_with(".bin");
  if (!remove_suffix(text, name.is_pickle ? ".bin" : ".safetensors")) return false;
  if (const auto numbers = shard_numbers(text)) {
    name.part = ModelName::Part::shard;
    name.shard = numbers->shard;
    name.shards = numbers->shards;
    if (!numbers->after.empty()) {
      if (numbers->after.front() != '.' || numbers->after.size() == 1) return false;
      name.variant = numbers->after.substr(1);
    }
    text = numbers->before;
  }
  return read_stem(text, name);
}

// Returns whether the content of an index is wrong, so that reading it again would not help.
bool is_invalid(const Error& error) {
  return error.code() == Code::malformed || error.code() == Code::limit || error.code() == Code::unsupported;
}

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

// Returns the only series with all its shards; nullptr if there are none or several.
const std::vector<std::string>* complete_series(const ModelFormat& format) {
  const std::vector<std::string>* complete = nullptr;
  for (const auto& [shards, files] : format.series) {
    if (files.size() != shards) continue;
    if (complete) return nullptr;
    complete = &files;
  }
  return complete;
}

Error no_such_shard(const std::string& index, const std::string& shard) {
  return Error(Code::not_found, "", fmt::format("names the shard {}, which does not exist", quoted(shard)),
      Where::in(index), "download all shards of the model");
}

Error incomplete_series(const ModelFormat& format) {
  const auto& [shards, files] = *format.series.begin();
  size_t complete = 0;
  for (const auto& [total, there] : format.series) complete += there.size() == total;
  if (complete > 1)
    return Error(Code::unsupported, "",
        fmt::format("is one of {} complete series of shards, and no index chooses one", complete),
        Where::in(files.front()));
  return Error(Code::not_found, "", fmt::format("{} of {} shards exist, and no index names them", files.size(), shards),
      Where::in(files.front()), "download all shards of the model");
}

// Adds the shards of the named series that the index does not name.
void add_unnamed_shards(const ModelFormat& format, const std::set<std::string>& named, ModelShards& shards) {
  for (const auto& [total, files] : format.series) {
    if (std::ranges::none_of(files, [&](const std::string& file) { return named.contains(file); })) continue;
    for (const std::string& file : files) {
      if (named.contains(file)) continue;
      shards.files.push_back(file);
      shards.notes.push_back(fmt::format("the index does not name the shard {}", printable(detect::last_part(file))));
    }
  }
}

}  // namespace

std::optional<ModelName> parse_model_name(std::string_view path) {
  ModelName name;
  const std::string_view file = detect::last_part(path);
  name.folder = path.substr(0, path.size() - file.size());
  const bool found = file.ends_with(".json") ? read_index_name(file, name) : read_file_name(file, name);
  return found ? std::optional(std::move(name)) : std::nullopt;
}

bool is_shard_name(std::string_view path) {
  std::string_view name = detect::last_part(path);
  name = name.substr(0, name.rfind('.'));
  const auto numbers = shard_numbers(name);
  return numbers && (numbers->after.empty() || numbers->after.front() == '.');
}

std::string_view without_shard_numbers(std::string_view stem) {
  const auto numbers = shard_numbers(stem);
  return numbers && numbers->after.empty() ? numbers->before : stem;
}

const std::string& StandardModel::entry(const ModelFormat& format) const noexcept {
  const bool index_first = stem == kDiffusersStem && &format == &safetensors;
  const std::string& first = index_first ? format.index : format.single;
  return !first.empty() ? first : index_first ? format.single : format.index;
}

std::string StandardModel::index_name() const {
  return fmt::format("{}{}.safetensors.index{}{}.json", folder, stem, variant.empty() ? "" : ".", variant);
}

std::vector<StandardModel> standard_models(const std::set<std::string>& names) {
  std::map<std::tuple<std::string, std::string, std::string>, StandardModel> models;
  for (const std::string& path : names) {
    const auto name = parse_model_name(path);
    if (!name) continue;
    StandardModel& model = models[{name->folder, name->stem, name->variant}];
    model.folder = name->folder;
    model.stem = name->stem;
    model.variant = name->variant;
    ModelFormat& format = name->is_pickle ? model.pickle : model.safetensors;
    switch (name->part) {
      case ModelName::Part::single: format.single = path; break;
      case ModelName::Part::index:
        if (!name->is_old_index || format.index.empty()) format.index = path;
        break;
      case ModelName::Part::shard: format.series[name->shards].push_back(path); break;
    }
  }
  std::vector<StandardModel> sorted;
  for (auto& [key, model] : models) sorted.push_back(std::move(model));
  return sorted;
}

const Indexes::Read& Indexes::read(const std::string& path) {
  auto [found, is_new] = read_.try_emplace(path);
  if (!is_new) return found->second;
  try {
    found->second.index = read_index_(path);
  } catch (const Error& error) {
    if (!is_invalid(error)) {
      read_.erase(found);
      throw;
    }
    found->second.error = error;
  }
  return found->second;
}

const safetensors::Index& Indexes::value_of(const Read& read) {
  if (read.error) throw Error(*read.error);
  return *read.index;
}

bool Indexes::is_loadable(const std::string& path) {
  const Read& found = read(path);
  return found.index && std::ranges::all_of(found.index->shards(),
                            [&](const std::string& shard) { return names_.contains(folder_of(path) + shard); });
}

ModelShards shards_of(
    const StandardModel& model, const ModelFormat& format, Indexes& indexes, const std::set<std::string>& names) {
  ModelShards shards{.entry = model.entry(format), .files = {}, .notes = {}};
  if (!shards.entry.empty() && shards.entry == format.single) {
    shards.files = {format.single};
    return shards;
  }
  shards.is_sharded = true;
  const std::vector<std::string>* series = complete_series(format);
  if (format.index.empty()) {
    if (!series) throw incomplete_series(format);
    shards.entry = series->front();
    shards.files = *series;
    shards.notes.emplace_back("no index names the shards");
    return shards;
  }
  std::string missing;
  std::set<std::string> named;
  try {
    for (const std::string& shard : indexes.at(format.index).shards()) {
      const std::string path = folder_of(format.index) + shard;
      named.insert(path);
      if (!names.contains(path) && missing.empty()) missing = shard;
    }
  } catch (const Error& error) {
    if (!series || !is_invalid(error)) throw;
    shards.files = *series;
    shards.notes.push_back(fmt::format("the index is invalid: {}", error.message()));
    return shards;
  }
  shards.has_index = true;
  if (!missing.empty()) {
    if (!series) throw no_such_shard(format.index, missing);
    shards.files = *series;
    shards.notes.push_back(fmt::format("the index names {}, which does not exist", printable(missing)));
    return shards;
  }
  shards.files.assign(named.begin(), named.end());
  add_unnamed_shards(format, named, shards);
  std::ranges::sort(shards.files);
  return shards;
}

}  // namespace depickle::weights
