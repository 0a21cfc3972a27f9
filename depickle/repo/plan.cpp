#include "depickle/repo/plan.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "depickle/formats/detect/file_name.h"

namespace depickle::repo {
namespace {

// Returns the kind of a file that may be a checkpoint. The Hub stores large binary files by LFS, so others are not
// read.
std::function<detect::FileKind(const std::string&)> kind_of_lfs_files(
    const std::map<std::string, const hub::RepoFile*>& files, const PlanReaders& readers) {
  if (!readers.kind_of) return {};
  return [&files, &readers](const std::string& path) {
    return files.at(path)->sha256.empty() ? detect::FileKind::unknown : readers.kind_of(path);
  };
}

// Skips the models whose source has the name of the target.
void skip_misnamed(Plan& plan) {
  std::erase_if(plan.models, [&](const convert::ModelFiles& model) {
    if (model.is_sharded() || model.files.front().source != model.files.front().target) return false;
    plan.skipped.push_back({model.files.front().source, model.notes.front()});
    return true;
  });
  std::ranges::sort(plan.skipped, {}, &convert::SkippedFile::file);
}

}  // namespace

std::vector<std::string> Plan::new_files() const {
  std::vector<std::string> files;
  for (const convert::ModelFiles& model : models) {
    for (const convert::ModelFiles::File& file : model.files)
      if (std::ranges::find(present, file.target.string()) == present.end()) files.push_back(file.target.string());
    if (model.is_sharded()) files.push_back(model.target_index.string());
  }
  std::ranges::sort(files);
  return files;
}

std::vector<std::string> Plan::needed_files() const {
  std::vector<std::string> files = present;
  for (const convert::ModelFiles& model : models) {
    for (const convert::ModelFiles::File& file : model.files) files.push_back(file.source.string());
    if (!model.source_index.empty()) files.push_back(model.source_index.string());
  }
  std::ranges::sort(files);
  return files;
}

Plan plan(const std::vector<hub::RepoFile>& files, const PlanReaders& readers) {
  std::map<std::string, const hub::RepoFile*> by_path;
  convert::Listing listing{.files = {}, .read_index = readers.read_index};
  for (const hub::RepoFile& file : files) {
    listing.files.insert(file.path);
    by_path.emplace(file.path, &file);
  }
  listing.kind_of = kind_of_lfs_files(by_path, readers);
  listing.equal_tables = readers.equal_tables;
  Plan plan{convert::survey(listing, false), {}, 0};
  skip_misnamed(plan);
  for (const convert::ModelFiles& model : plan.models) {
    for (const convert::ModelFiles::File& file : model.files) {
      plan.source_bytes += by_path.at(file.source.string())->size_bytes;
      if (by_path.contains(file.target.string())) plan.present.push_back(file.target.string());
    }
  }
  return plan;
}

}  // namespace depickle::repo
