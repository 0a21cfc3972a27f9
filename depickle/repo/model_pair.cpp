#include "depickle/repo/model_pair.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/convert/names.h"
#include "depickle/formats/detect/file_name.h"

namespace depickle::repo {
namespace {

using weights::ModelName;
using weights::StandardModel;

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

std::string_view without_extension(std::string_view path) {
  const size_t dot = path.rfind('.');
  return dot == path.npos || dot <= path.rfind('/') + 1 ? path : path.substr(0, dot);
}

class Pairer {
 public:
  Pairer(const std::vector<FileChange>& changes, const CommitFiles& before, const CommitFiles& after)
      : before_(before),
        after_(after),
        base_models_(weights::standard_models(before.names)) {
    for (const FileChange& change : changes)
      if (change.change != FileChange::Change::deleted) touched_.insert(change.path);
  }

  std::vector<ModelPair> run() {
    for (const std::string& file : after_.names)
      if (detect::is_safetensors_index_name(file)) add_index(file);
    for (const std::string& file : after_.names)
      if (detect::is_safetensors_name(file) && touched_.contains(file) && !claimed_.contains(file)) add_file(file);
    std::ranges::sort(pairs_, {}, [](const ModelPair& pair) { return pair.safetensors.entry; });
    return std::move(pairs_);
  }

 private:
  void add_index(const std::string& index) {
    ModelParts parts{.entry = index, .shards = {}};
    try {
      for (const std::string& shard : after_.indexes.at(index).shards())
        parts.shards.push_back(folder_of(index) + shard);
    } catch (const Error& error) {
      if (error.code() != Code::malformed && error.code() != Code::limit) throw;
    }
    claimed_.insert(parts.shards.begin(), parts.shards.end());
    auto is_touched = [&](const std::string& file) { return touched_.contains(file); };
    if (is_touched(index) || std::ranges::any_of(parts.shards, is_touched))
      pairs_.push_back({.safetensors = std::move(parts), .pickle = pickle_of(index)});
  }

  void add_file(const std::string& file) {
    ModelParts parts{.entry = file, .shards = {file}};
    if (weights::is_shard_name(file)) parts.problem = "no index names this shard";
    pairs_.push_back({.safetensors = std::move(parts), .pickle = pickle_of(file)});
  }

  // Returns the pickle that the safetensors replace for the libraries that look for them.
  ModelParts pickle_of(const std::string& safetensors) {
    if (const auto name = weights::parse_model_name(safetensors)) {
      const auto model = std::ranges::find_if(base_models_, [&](const StandardModel& there) {
        return there.folder == name->folder && there.stem == name->stem && there.variant == name->variant;
      });
      if (model != base_models_.end() && model->pickle.exists()) return parts_of(*model);
    }
    if (detect::is_index_name(safetensors)) return pickle_of_index(safetensors);
    for (const auto& has_target : {&Pairer::is_checkpoint_for, &Pairer::is_other_file_for}) {
      std::vector<std::string> sources;
      for (const std::string& file : before_.names)
        if (has_target(file, safetensors)) sources.push_back(file);
      if (sources.size() == 1) return {.entry = sources.front(), .shards = sources};
      if (sources.size() > 1)
        return {.entry = sources.front(),
            .shards = {},
            .problem = fmt::format(
                "{} and {} at the base could both be its source", printable(sources[0]), printable(sources[1]))};
    }
    return {};
  }

  static bool is_checkpoint_for(const std::string& file, const std::string& safetensors) {
    return convert::target_name(file) == safetensors && detect::not_weights(file).empty() &&
           !weights::is_shard_name(file);
  }

  // Returns whether the file may have been converted because of its content: weights.pkl to weights.safetensors.
  static bool is_other_file_for(const std::string& file, const std::string& safetensors) {
    if (detect::is_safetensors_name(file) || detect::is_code_name(file) || detect::is_config_name(file)) return false;
    return !file.ends_with(".md") && without_extension(file) == without_extension(safetensors);
  }

  ModelParts parts_of(const StandardModel& model) {
    ModelParts parts{.entry = model.entry(model.pickle), .shards = {}};
    try {
      weights::ModelShards shards = weights::shards_of(model, model.pickle, before_.indexes, before_.names);
      parts.entry = shards.entry;
      parts.shards = std::move(shards.files);
    } catch (const Error& error) {
      if (error.code() != Code::malformed && error.code() != Code::limit && error.code() != Code::not_found &&
          error.code() != Code::unsupported)
        throw;
      if (parts.entry.empty()) parts.entry = model.pickle.series.begin()->second.front();
      parts.problem = error.what();
    }
    return parts;
  }

  // Returns the sharded pickle of a model that no library looks for: x.bin.index.json for x.safetensors.index.json.
  ModelParts pickle_of_index(const std::string& safetensors_index) {
    for (const std::string& file : before_.names) {
      if (convert::target_index_name(file) != safetensors_index) continue;
      StandardModel model;
      model.pickle.index = file;
      return parts_of(model);
    }
    return {};
  }

  const CommitFiles& before_;
  const CommitFiles& after_;
  const std::vector<StandardModel> base_models_;
  std::set<std::string> touched_;
  std::set<std::string> claimed_;  // shards of the indexes
  std::vector<ModelPair> pairs_;
};

}  // namespace

std::vector<ModelPair> pair_models(
    const std::vector<FileChange>& changes, const CommitFiles& before, const CommitFiles& after) {
  return Pairer(changes, before, after).run();
}

}  // namespace depickle::repo
