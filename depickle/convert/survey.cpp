#include "depickle/convert/survey.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/convert/names.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/os/mapped_file.h"

namespace depickle::convert {
namespace {

namespace fs = std::filesystem;
using detect::FileKind;

constexpr const char* kNotLoaded = "not a name that model libraries load";
// How many files with other extensions are opened.
constexpr size_t kMaxUnnamed = 1000;

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

std::string without_extension(const std::string& path) {
  const size_t dot = path.rfind('.');
  return dot == path.npos || dot <= path.rfind('/') + 1 ? path : path.substr(0, dot);
}

bool is_transient(const Error& error) {
  return error.code() == Code::network || error.code() == Code::denied || error.code() == Code::cancelled;
}

// Returns whether a file that begins so may be a checkpoint. A plain pickle has no magic number.
bool is_pickle(FileKind kind) {
  return kind == FileKind::zip || kind == FileKind::torch_legacy || kind == FileKind::tar || kind == FileKind::pickle;
}

std::string_view kind_text(FileKind kind) {
  switch (kind) {
    case FileKind::zip: return "a zip archive";
    case FileKind::torch_legacy: return "a torch checkpoint";
    case FileKind::tar: return "a tar archive";
    default: return "a pickle";
  }
}

// Returns whether a file without the extension of a checkpoint is opened to see what it is.
bool may_be_weights(const std::string& path) {
  constexpr std::array<std::string_view, 14> kOther = {
      ".md", ".txt", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".csv", ".tsv", ".log", ".html", ".css", ".pdf"};
  if (detect::is_code_name(path) || detect::is_config_name(path) || detect::is_index_name(path)) return false;
  if (detect::is_weights_name(path)) return detect::is_pickle_name(path) || detect::is_safetensors_name(path);
  return std::ranges::none_of(kOther, [&](std::string_view ending) { return path.ends_with(ending); });
}

// Returns all files in `folder` and its subfolders, as relative paths.
std::set<std::string> list_files(const fs::path& folder, const fs::path& skip) {
  std::error_code error, ignored;
  std::set<std::string> files;
  fs::recursive_directory_iterator walk(folder, fs::directory_options::skip_permission_denied, error);
  if (error) throw system_error(error.value(), "cannot read the folder", folder);
  while (walk != fs::recursive_directory_iterator()) {
    const fs::path& path = walk->path();
    if (walk->is_directory(ignored)) {
      if (path.filename().string().starts_with('.') || fs::equivalent(path, skip, ignored))
        walk.disable_recursion_pending();
    } else if (walk->is_regular_file(ignored) || walk->is_symlink(ignored)) {
      files.insert(path.lexically_relative(folder).generic_string());
    }
    walk.increment(error);
    if (error) throw system_error(error.value(), "cannot read the folder", folder);
  }
  return files;
}

// The survey of one folder or repository.
class Surveyor {
 public:
  Surveyor(const Listing& listing, bool force)
      : files_(listing.files),
        listing_(listing),
        indexes_(listing.files, listing.read_index),
        force_(force) {}

  Survey run() {
    for (const weights::StandardModel& model : weights::standard_models(files_))
      if (model.pickle.exists()) add_standard(model);
    for (const std::string& file : files_)
      if (target_index_name(file) && !claimed_.contains(file)) add_index(file);
    for (const std::string& file : files_)
      if (detect::last_part(file) == "model_index.json") standard_folders_.insert(folder_of(file));
    for (const std::string& file : files_)
      if (!claimed_.contains(file)) add_other(file);
    add_candidates();
    add_by_content();
    std::ranges::sort(survey_.models, {}, [](const ModelFiles& model) { return model.files.front().source; });
    for (auto* list : {&survey_.up_to_date, &survey_.skipped}) std::ranges::sort(*list, {}, &SkippedFile::file);
    std::ranges::sort(survey_.failed, {}, &FailedFile::file);
    return std::move(survey_);
  }

 private:
  void skip(const std::string& file, std::string reason) { survey_.skipped.push_back({file, std::move(reason)}); }
  void fail(const std::string& file, Error error) { survey_.failed.push_back({file, std::move(error)}); }

  // Returns the safetensors that a library finds for the model; empty if there are none.
  std::string found_safetensors(const weights::StandardModel& model) {
    const weights::ModelFormat& format = model.safetensors;
    if (!format.single.empty() && (!listing_.kind_of || !is_pickle(listing_.kind_of(format.single))))
      return format.single;
    return !format.index.empty() && indexes_.is_loadable(format.index) ? format.index : "";
  }

  void add_standard(const weights::StandardModel& model) {
    const weights::ModelFormat& format = model.pickle;
    standard_folders_.insert(model.folder);
    for (const std::string& file : {format.single, format.index})
      if (!file.empty()) claimed_.insert(file);
    for (const auto& [shards, files] : format.series) claimed_.insert(files.begin(), files.end());
    const std::string found = force_ ? "" : found_safetensors(model);
    try {
      if (!found.empty() && (!format.single.empty() || found != model.safetensors.single))
        return add_up_to_date(format, found);
      weights::ModelShards shards = weights::shards_of(model, format, indexes_, files_);
      if (!found.empty()) {
        if (!listing_.equal_tables || listing_.equal_tables(shards.files, found)) return add_up_to_date(format, found);
        shards.notes.push_back(
            fmt::format("{} contains other tensors, and libraries load it first", printable(detect::last_part(found))));
      }
      add_shards(model, shards);
    } catch (const Error& error) {
      if (is_transient(error)) throw;
      if (!found.empty()) return add_up_to_date(format, found);
      const std::string& entry = model.entry(format);
      return fail(entry.empty() ? format.series.begin()->second.front() : entry, error);
    }
  }

  void add_up_to_date(const weights::ModelFormat& format, const std::string& found) {
    const std::string reason = fmt::format("{} already exists", printable(detect::last_part(found)));
    for (const std::string& file : {format.single, format.index})
      if (!file.empty()) survey_.up_to_date.push_back({file, reason});
    if (!format.single.empty() || !format.index.empty()) return;
    for (const auto& [shards, files] : format.series)
      for (const std::string& file : files) survey_.up_to_date.push_back({file, reason});
  }

  void add_shards(const weights::StandardModel& model, const weights::ModelShards& shards) {
    const weights::ModelFormat& format = model.pickle;
    ModelFiles files{.files = {}, .notes = shards.notes};
    if (shards.is_sharded) {
      files.source_index = format.index;
      files.target_index = target_index_name(format.index).value_or(model.index_name());
      files.replaces_index = files_.contains(files.target_index.string());
      if (shards.has_index) files.index = std::make_shared<const safetensors::Index>(indexes_.at(format.index));
    } else {
      skip_other_layout(format);
    }
    for (const std::string& shard : shards.files) {
      const auto target = target_name(shard);
      if (!target)
        return fail(format.index, Error(Code::unsupported, "",
                                      fmt::format("names the shard {}, which does not have a weights file extension",
                                          quoted(detect::last_part(shard))),
                                      Where::in(format.index)));
      claimed_.insert(shard);
      files.files.push_back({shard, *target});
    }
    if (!files.files.empty()) survey_.models.push_back(std::move(files));
  }

  // Skips the shards of a model whose single file the libraries open.
  void skip_other_layout(const weights::ModelFormat& format) {
    const std::string reason = fmt::format("model libraries load {}", printable(detect::last_part(format.single)));
    if (!format.index.empty()) return skip(format.index, reason);
    for (const auto& [shards, files] : format.series)
      for (const std::string& file : files) skip(file, reason);
  }

  // Adds a sharded model that no library looks for.
  void add_index(const std::string& index) {
    weights::StandardModel model;
    model.pickle.index = index;
    claimed_.insert(index);
    const std::string target = *target_index_name(index);
    const size_t models_before = survey_.models.size();
    try {
      const weights::ModelShards shards = weights::shards_of(model, model.pickle, indexes_, files_);
      claimed_.insert(shards.files.begin(), shards.files.end());
      if (!force_ && files_.contains(target) && indexes_.is_loadable(target))
        return survey_.up_to_date.push_back(
            {index, fmt::format("{} already exists", printable(detect::last_part(target)))});
      if (is_below_standard(index)) return skip(index, kNotLoaded);
      add_shards(model, shards);
    } catch (const Error& error) {
      if (is_transient(error)) throw;
      return fail(index, error);
    }
    if (survey_.models.size() > models_before) survey_.models.back().name = ModelFiles::Name::other;
  }

  // Returns whether a standard model is in the folder of the file, or in one of the folders above it.
  bool is_below_standard(const std::string& file) const {
    for (std::string folder = folder_of(file);; folder = folder_of(folder.substr(0, folder.size() - 1))) {
      if (standard_folders_.contains(folder)) return true;
      if (folder.empty()) return false;
    }
  }

  void add_other(const std::string& file) {
    const auto target = target_name(file);
    if (std::string_view reason = detect::not_weights(file); !reason.empty() && detect::is_pickle_name(file))
      return skip(file, std::string(reason));
    if (!target) return void(unnamed_.push_back(file));
    if (is_below_standard(file)) return skip(file, kNotLoaded);
    if (weights::is_shard_name(file)) return skip(file, "a shard that no index names");
    if (!force_ && files_.contains(*target) && !(listing_.kind_of && is_pickle(listing_.kind_of(*target))))
      return survey_.up_to_date.push_back(
          {file, fmt::format("{} already exists", printable(detect::last_part(*target)))});
    if (listing_.kind_of && listing_.kind_of(file) == FileKind::safetensors)
      return add_safetensors(file, *target, ModelFiles::Name::other);
    candidates_[*target].push_back(file);
  }

  // Adds a file that begins like safetensors. The conversion reads it and reports it as up to date or as damaged. It
  // writes no target, so the target may be that of another file.
  void add_safetensors(const std::string& file, const std::string& target, ModelFiles::Name name) {
    survey_.models.push_back({.files = {{file, target}}, .name = name});
  }

  void add_candidates() {
    for (const auto& [target, sources] : candidates_) {
      folders_with_weights_.insert(folder_of(target));
      if (sources.size() == 1) {
        survey_.models.push_back({.files = {{sources.front(), target}}, .name = ModelFiles::Name::other});
        continue;
      }
      for (const std::string& source : sources)
        fail(source, Error(Code::unsupported, Reason::target_taken,
                         fmt::format("its target {} is also the target of {}", printable(target),
                             printable(source == sources.front() ? sources.back() : sources.front())),
                         Where::in(source)));
    }
  }

  // Adds files that have another extension, or none, and begin like a checkpoint.
  void add_by_content() {
    if (!listing_.kind_of) return;
    for (const std::string& file : unnamed_)
      if (detect::is_safetensors_name(file)) folders_with_weights_.insert(folder_of(file));
    size_t read = 0;
    for (const std::string& file : unnamed_) {
      if (!may_be_weights(file) || ++read > kMaxUnnamed) continue;
      const FileKind kind = listing_.kind_of(file);
      if (kind == FileKind::safetensors && !detect::is_safetensors_name(file))
        add_safetensors(file, without_extension(file) + ".safetensors", ModelFiles::Name::content);
      if (!is_pickle(kind)) continue;
      const std::string what(kind_text(kind));
      if (detect::is_safetensors_name(file)) {
        add_misnamed(file, what);
      } else if (is_below_standard(file) || folders_with_weights_.contains(folder_of(file))) {
        skip(file, fmt::format("{} whose name is not that of weights", what));
      } else {
        survey_.models.push_back({.files = {{file, without_extension(file) + ".safetensors"}},
            .name = ModelFiles::Name::content,
            .notes = {fmt::format("found by its content: {}", what)}});
      }
    }
  }

  // Adds a pickle whose name ends in .safetensors. It keeps its name, so it can only be written to another folder.
  void add_misnamed(const std::string& file, const std::string& what) {
    if (is_target(file)) return skip(file, fmt::format("{} whose name ends in .safetensors", what));
    survey_.models.push_back({.files = {{file, file}},
        .name = ModelFiles::Name::content,
        .notes = {fmt::format("the source is {}, not a safetensors file", what)}});
  }

  // Returns whether the conversion of another file may write this target.
  bool is_target(const std::string& file) const {
    for (const ModelFiles& model : survey_.models)
      for (const ModelFiles::File& there : model.files)
        if (there.target == file && listing_.kind_of(there.source.string()) != FileKind::safetensors) return true;
    return false;
  }

  const std::set<std::string>& files_;
  const Listing& listing_;
  weights::Indexes indexes_;
  const bool force_;
  Survey survey_;
  std::set<std::string> claimed_;           // files of models
  std::set<std::string> standard_folders_;  // folders that contain a model under a standard name
  std::set<std::string> folders_with_weights_;
  std::map<std::string, std::vector<std::string>> candidates_;  // target → sources
  std::vector<std::string> unnamed_;                            // files without the extension of a checkpoint
};

FileKind kind_of_file(const fs::path& path) {
  try {
    return detect::file_kind(*os::MappedFile::open(path));
  } catch (const Error&) {
    return FileKind::unknown;  // the conversion reports what is wrong with it
  }
}

}  // namespace

Survey survey(const Listing& listing, bool force) { return Surveyor(listing, force).run(); }

Survey survey_folder(const fs::path& folder, const fs::path& skip, bool force, EqualTables equal_tables) {
  return survey({.files = list_files(folder, skip),
                    .read_index = [&](const std::string& index) { return safetensors::Index::read(folder / index); },
                    .kind_of = [&](const std::string& file) { return kind_of_file(folder / file); },
                    .equal_tables = std::move(equal_tables)},
      force);
}

}  // namespace depickle::convert
