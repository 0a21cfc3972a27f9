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

Where at(const fs::path& file) { return Where::in(file.string()); }

// All files below `folder`, as paths from it.
std::vector<fs::path> list_files(const fs::path& folder, const fs::path& skip) {
  std::error_code error, ignored;
  std::vector<fs::path> files;
  fs::recursive_directory_iterator walk(folder, fs::directory_options::skip_permission_denied, error);
  if (error) throw system_error(error.value(), "cannot look into the folder", folder);
  while (walk != fs::recursive_directory_iterator()) {
    const fs::path& path = walk->path();
    if (walk->is_directory(ignored)) {
      if (path.filename().string().starts_with('.') || fs::equivalent(path, skip, ignored))
        walk.disable_recursion_pending();
    } else if (walk->is_regular_file(ignored) || walk->is_symlink(ignored)) {
      files.push_back(path.lexically_relative(folder));
    }
    walk.increment(error);
    if (error) throw system_error(error.value(), "cannot look into the folder", folder);
  }
  return files;
}

class Surveyor {
 public:
  Surveyor(std::vector<fs::path> files, const ReadIndex& read_index, bool again)
      : files_(std::move(files)),
        read_index_(read_index),
        again_(again) {
    std::ranges::sort(files_);
  }

  Survey run() {
    for (const fs::path& file : files_)
      if (auto target = target_index_name(file.string())) take_index(file, *target);
    for (const fs::path& file : files_)
      if (!claimed_.contains(file)) take_file(file);
    std::ranges::sort(survey_.jobs, {}, [](const Job& job) { return job.files.front().source; });
    return std::move(survey_);
  }

 private:
  bool exists(const fs::path& file) const { return std::ranges::binary_search(files_, file); }

  bool has_twin(const fs::path& file, const fs::path& target) {
    if (again_ || !exists(target)) return false;
    survey_.already.push_back({file, fmt::format("{} already exists", printable(target.filename().string()))});
    return true;
  }

  void fail(const fs::path& file, Error error) { survey_.failed.push_back({file, std::move(error)}); }

  // Each target has one source; the later ones are told.
  bool may_become(const fs::path& file, const fs::path& target) {
    auto [known, is_new] = sources_.emplace(target, file);
    if (!is_new) {
      fail(file,
          Error(Code::unsupported, Reason::target_taken,
              fmt::format("would become {}, as {} does", printable(target.string()), printable(known->second.string())),
              at(file)));
    }
    return is_new;
  }

  void take_index(const fs::path& index, const fs::path& target_index) {
    Job job{.files = {}, .source_index = index, .target_index = target_index};
    try {
      job.index = std::make_shared<const safetensors::Index>(read_index_(index));
    } catch (const Error& error) {
      return fail(index, error);
    }
    std::vector<std::string> shards = job.index->shards();
    std::ranges::sort(shards);
    for (const std::string& shard : shards) claimed_.insert(index.parent_path() / shard);
    if (has_twin(index, target_index)) return;

    for (const std::string& shard : shards) {
      const fs::path source = index.parent_path() / shard;
      auto target = target_name(source.string());
      if (!target)
        return fail(index,
            Error(Code::unsupported, "",
                fmt::format("names the shard {}, which has no weights file's ending", quoted(shard)), at(index)));
      if (!exists(source)) {
        return fail(
            index, Error(Code::not_found, "", fmt::format("names the shard {}, which is not there", quoted(shard)),
                       at(index), "download all shards of the model first"));
      }
      if (!may_become(source, *target)) return;
      job.files.push_back({source, *target});
    }
    if (!job.files.empty()) survey_.jobs.push_back(std::move(job));
  }

  void take_file(const fs::path& file) {
    if (detect::is_safetensors_name(file.native())) ++survey_.safetensors_files;
    auto target = target_name(file.string());
    if (!target) return;
    if (std::string_view reason = not_weights(file.string()); !reason.empty()) {
      survey_.left.push_back({file, std::string(reason)});
    } else if (!has_twin(file, *target) && may_become(file, *target)) {
      survey_.jobs.push_back({.files = {{file, *target}}});
    }
  }

  std::vector<fs::path> files_;  // sorted
  const ReadIndex& read_index_;
  bool again_;
  Survey survey_;
  std::set<fs::path> claimed_;            // shards of some index
  std::map<fs::path, fs::path> sources_;  // target → source
};

}  // namespace

Survey survey(const fs::path& folder, const fs::path& skip, bool again) {
  return survey(
      list_files(folder, skip), [&](const fs::path& index) { return safetensors::Index::read(folder / index); }, again);
}

Survey survey(std::vector<fs::path> files, const ReadIndex& read_index, bool again) {
  return Surveyor(std::move(files), read_index, again).run();
}

}  // namespace depickle::convert
