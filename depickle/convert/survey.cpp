#include "depickle/convert/survey.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/convert/names.h"
#include "depickle/formats/detect/file_name.h"

namespace depickle::convert {
namespace {

namespace fs = std::filesystem;

// Returns all files in `folder` and its subfolders, as relative paths.
std::vector<fs::path> list_files(const fs::path& folder, const fs::path& skip) {
  std::error_code error, ignored;
  std::vector<fs::path> files;
  fs::recursive_directory_iterator walk(folder, fs::directory_options::skip_permission_denied, error);
  if (error) throw system_error(error.value(), "cannot read the folder", folder);
  while (walk != fs::recursive_directory_iterator()) {
    const fs::path& path = walk->path();
    if (walk->is_directory(ignored)) {
      if (path.filename().string().starts_with('.') || fs::equivalent(path, skip, ignored))
        walk.disable_recursion_pending();
    } else if (walk->is_regular_file(ignored) || walk->is_symlink(ignored)) {
      files.push_back(path.lexically_relative(folder));
    }
    walk.increment(error);
    if (error) throw system_error(error.value(), "cannot read the folder", folder);
  }
  return files;
}

class FileSurvey {
 public:
  FileSurvey(std::vector<fs::path> files, const ReadIndex& read_index, bool force)
      : files_(std::move(files)),
        read_index_(read_index),
        force_(force) {
    std::ranges::sort(files_);
  }

  Survey run() {
    for (const fs::path& file : files_)
      if (auto target = target_index_name(file.string())) add_index(file, *target);
    for (const fs::path& file : files_)
      if (!claimed_.contains(file)) add_file(file);
    std::ranges::sort(survey_.models, {}, [](const ModelFiles& model) { return model.files.front().source; });
    return std::move(survey_);
  }

 private:
  bool exists(const fs::path& file) const { return std::ranges::binary_search(files_, file); }

  bool is_up_to_date(const fs::path& file, const fs::path& target) {
    if (force_ || !exists(target)) return false;
    survey_.up_to_date.push_back({file, fmt::format("{} already exists", printable(target.filename().string()))});
    return true;
  }

  void fail(const fs::path& file, Error error) { survey_.failed.push_back({file, std::move(error)}); }

  // Returns whether no other file has this target; reports a failure otherwise.
  bool claim_target(const fs::path& file, const fs::path& target) {
    auto [first, is_new] = sources_.emplace(target, file);
    if (!is_new) {
      fail(file, Error(Code::unsupported, Reason::target_taken,
                     fmt::format("its target {} is also the target of {}", printable(target.string()),
                         printable(first->second.string())),
                     Where::in(file.string())));
    }
    return is_new;
  }

  void add_index(const fs::path& index, const fs::path& target_index) {
    ModelFiles model{.files = {}, .source_index = index, .target_index = target_index};
    try {
      model.index = std::make_shared<const safetensors::Index>(read_index_(index));
    } catch (const Error& error) {
      return fail(index, error);
    }
    std::vector<std::string> shards = model.index->shards();
    std::ranges::sort(shards);
    for (const std::string& shard : shards) claimed_.insert(index.parent_path() / shard);
    if (is_up_to_date(index, target_index)) return;
    for (const std::string& shard : shards)
      if (!add_shard(model, shard)) return;
    if (!model.files.empty()) survey_.models.push_back(std::move(model));
  }

  // Returns false if the shard cannot be converted, after reporting the failure.
  bool add_shard(ModelFiles& model, const std::string& shard) {
    const fs::path& index = model.source_index;
    const fs::path source = index.parent_path() / shard;
    const auto target = target_name(source.string());
    if (!target) {
      fail(index, Error(Code::unsupported, "",
                      fmt::format("names the shard {}, which does not have a weights file extension", quoted(shard)),
                      Where::in(index.string())));
      return false;
    }
    if (!exists(source)) {
      fail(index, Error(Code::not_found, "", fmt::format("names the shard {}, which does not exist", quoted(shard)),
                      Where::in(index.string()), "download all shards of the model"));
      return false;
    }
    if (!claim_target(source, *target)) return false;
    model.files.push_back({source, *target});
    return true;
  }

  void add_file(const fs::path& file) {
    auto target = target_name(file.string());
    if (!target) return;
    if (std::string_view reason = detect::not_weights(file.string()); !reason.empty()) {
      survey_.skipped.push_back({file, std::string(reason)});
    } else if (!is_up_to_date(file, *target) && claim_target(file, *target)) {
      survey_.models.push_back({.files = {{file, *target}}});
    }
  }

  std::vector<fs::path> files_;  // sorted
  const ReadIndex& read_index_;
  const bool force_;
  Survey survey_;
  std::set<fs::path> claimed_;            // shards of all indexes
  std::map<fs::path, fs::path> sources_;  // target → source
};

}  // namespace

Survey survey_folder(const fs::path& folder, const fs::path& skip, bool force) {
  return survey_files(
      list_files(folder, skip), [&](const fs::path& index) { return safetensors::Index::read(folder / index); }, force);
}

Survey survey_files(std::vector<fs::path> files, const ReadIndex& read_index, bool force) {
  return FileSurvey(std::move(files), read_index, force).run();
}

}  // namespace depickle::convert
