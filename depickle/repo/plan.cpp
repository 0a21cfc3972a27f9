#include "depickle/repo/plan.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/convert/names.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/repo/model_pair.h"

namespace depickle::repo {
namespace {

namespace fs = std::filesystem;

// "pytorch_model-00001-of-00002.bin", "model.fp16-00001-of-00002.safetensors". Loaders find shards only by an index.
bool is_shard_name(std::string_view name) {
  const size_t of = name.rfind("-of-");
  if (of == name.npos || of < 6 || name[of - 6] != '-') return false;
  auto digits = [](std::string_view text) {
    return text.size() == 5 && text.find_first_not_of("0123456789") == text.npos;
  };
  return digits(name.substr(of - 5, 5)) && digits(name.substr(of + 4, 5));
}

// Returns whether transformers, diffusers (also for LoRA weights and embeddings) or PEFT load a file of this name.
bool is_standard_name(std::string_view path) {
  constexpr std::array<std::string_view, 7> kStems = {"pytorch_model", "diffusion_pytorch_model", "model",
      "adapter_model", "pytorch_lora_weights", "learned_embeds", "prior_diffusion_pytorch_model"};
  const std::string_view name = detect::last_part(path);
  if (!name.ends_with(".bin") && !detect::is_index_name(name)) return false;
  return std::ranges::any_of(kStems, [&](std::string_view stem) {
    return name.starts_with(stem) && (name[stem.size()] == '.' || name[stem.size()] == '-');
  });
}

// The indexes of a repository, each read once. An invalid index is stored as its error; transient errors are thrown.
class Indexes {
 public:
  Indexes(const std::set<std::string>& names, const ReadIndex& read_index) {
    for (const std::string& name : names) {
      if (!detect::is_index_name(name)) continue;
      try {
        read_.emplace(name, read_index(name));
      } catch (const Error& error) {
        if (error.code() != Code::malformed && error.code() != Code::limit && error.code() != Code::unsupported) throw;
        broken_.emplace(name, error);
      }
    }
  }

  const safetensors::Index& at(const std::string& name) const {
    if (auto broken = broken_.find(name); broken != broken_.end()) throw broken->second;
    return read_.at(name);
  }

  // Returns whether the index is valid and all its shards exist.
  bool is_loadable(const std::string& name, const std::set<std::string>& names) const {
    auto index = read_.find(name);
    if (index == read_.end()) return false;
    const std::string folder = name.substr(0, name.rfind('/') + 1);
    return std::ranges::all_of(
        index->second.shards(), [&](const std::string& shard) { return names.contains(folder + shard); });
  }

 private:
  std::map<std::string, safetensors::Index> read_;
  std::map<std::string, Error> broken_;
};

fs::path main_source(const convert::ModelFiles& model) {
  return model.index ? model.source_index : model.files.front().source;
}
std::string main_target(const convert::ModelFiles& model) {
  return (model.index ? model.target_index : model.files.front().target).string();
}

class Planner {
 public:
  Planner(const std::vector<hub::RepoFile>& files, const ReadIndex& read_index)
      : names_(names_of(files)),
        indexes_(names_, read_index) {
    for (const hub::RepoFile& file : files) sizes_.emplace(file.path, file.size_bytes);
  }

  Plan run() {
    std::vector<fs::path> visible;
    for (const std::string& name : names_)
      if (!is_broken_safetensors_index(name)) visible.emplace_back(name);
    convert::Survey survey = convert::survey_files(
        std::move(visible), [&](const fs::path& index) { return indexes_.at(index.string()); }, false);
    plan_.up_to_date = std::move(survey.up_to_date);
    plan_.skipped = std::move(survey.skipped);
    plan_.failed = std::move(survey.failed);
    const bool has_standard_names = std::ranges::any_of(survey.models, [](const convert::ModelFiles& model) {
      return is_standard_name(main_source(model).string());
    }) || std::ranges::any_of(plan_.up_to_date, [](const convert::SkippedFile& file) {
      return is_standard_name(file.file.string());
    });
    for (convert::ModelFiles& model : survey.models) add(std::move(model), has_standard_names);
    std::ranges::sort(plan_.up_to_date, {}, &convert::SkippedFile::file);
    std::ranges::sort(plan_.skipped, {}, &convert::SkippedFile::file);
    return std::move(plan_);
  }

 private:
  static std::set<std::string> names_of(const std::vector<hub::RepoFile>& files) {
    std::set<std::string> names;
    for (const hub::RepoFile& file : files) names.insert(file.path);
    return names;
  }

  bool is_broken_safetensors_index(const std::string& name) const {
    return detect::is_safetensors_index_name(name) && !indexes_.is_loadable(name, names_);
  }

  bool can_be_loaded(const std::string& target) const {
    if (!names_.contains(target)) return false;
    return !detect::is_index_name(target) || indexes_.is_loadable(target, names_);
  }

  void add(convert::ModelFiles model, bool has_standard_names) {
    const std::string source = main_source(model).string();
    if (const std::string other = other_layout(main_target(model)); can_be_loaded(other)) {
      plan_.up_to_date.push_back({source, fmt::format("{} already exists", printable(detect::last_part(other)))});
    } else if (!model.index && is_shard_name(detect::last_part(source))) {
      plan_.skipped.push_back({source, "a shard that no index names"});
    } else if (has_standard_names && !is_standard_name(source)) {
      plan_.skipped.push_back({source, "not a name that model libraries load"});
    } else {
      for (const convert::ModelFiles::File& file : model.files) {
        plan_.source_bytes += sizes_.at(file.source.string());
        if (names_.contains(file.target.string())) plan_.present.push_back(file.target.string());
      }
      plan_.models.push_back(std::move(model));
    }
  }

  std::set<std::string> names_;
  Indexes indexes_;
  std::map<std::string, uint64_t> sizes_;
  Plan plan_;
};

}  // namespace

std::vector<std::string> Plan::new_files() const {
  std::vector<std::string> files;
  for (const convert::ModelFiles& model : models) {
    for (const convert::ModelFiles::File& file : model.files)
      if (std::ranges::find(present, file.target.string()) == present.end()) files.push_back(file.target.string());
    if (model.index) files.push_back(model.target_index.string());
  }
  std::ranges::sort(files);
  return files;
}

std::vector<std::string> Plan::needed_files() const {
  std::vector<std::string> files = present;
  for (const convert::ModelFiles& model : models) {
    for (const convert::ModelFiles::File& file : model.files) files.push_back(file.source.string());
    if (model.index) files.push_back(model.source_index.string());
  }
  std::ranges::sort(files);
  return files;
}

Plan plan(const std::vector<hub::RepoFile>& files, const ReadIndex& read_index) {
  return Planner(files, read_index).run();
}

}  // namespace depickle::repo
