#include "server/hub/repos/repo.h"

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/git/diff.h"
#include "server/hub/git/repository.h"
#include "server/hub/git/store_error.h"
#include "server/hub/repos/ref_change.h"
#include "server/hub/repos/store_parts.h"

namespace depickle::server::repos {

Repo::Repo(StoreParts& parts, RepoInfo info)
    : parts_(parts),
      info_(std::move(info)),
      git_(std::make_unique<git::Repository>(parts.git_folder(info_.key))) {}
Repo::~Repo() = default;
Repo::Repo(Repo&&) noexcept = default;

std::filesystem::path Repo::git_folder() const { return parts_.git_folder(info_.key); }

std::optional<std::string> Repo::find_commit(std::string_view revision) const {
  return git::find_commit(*git_, revision);
}

std::string Repo::commit_at(std::string_view revision) const { return git::commit_at(*git_, revision); }

std::optional<git::Entry> Repo::find_entry(const std::string& commit, std::string_view path) const {
  if (path.size() > parts_.limits.path_bytes) return std::nullopt;
  return git::find_entry(*git_, commit, path);
}

git::Entry Repo::entry_at(const std::string& commit, std::string_view path) const {
  std::optional<git::Entry> entry = find_entry(commit, path);
  if (!entry) git::throw_no_entry(path);
  return *entry;
}

git::TreePage Repo::list(const std::string& commit, const git::TreeQuery& query) const {
  return git::list_tree(*git_, commit, query);
}

std::vector<git::Entry> Repo::files(const std::string& commit) const {
  uint64_t max_files = parts_.limits.repository_files;
  git::TreePage page = list(commit, {.recursive = true, .limit = 2 * max_files, .cursor = ""});
  std::erase_if(page.entries, [](const git::Entry& entry) { return !entry.is_file(); });
  if (!page.next.empty() || page.entries.size() > max_files) {
    throw StoreError(StoreReason::too_large, fmt::format("the repository has more than {} files", grouped(max_files)));
  }
  return std::move(page.entries);
}

std::vector<git::Commit> Repo::last_commits(const std::string& commit, std::span<const std::string> paths) const {
  return git::last_commits(*git_, commit, paths);
}

FileContent Repo::content(const git::Entry& file, const Caller* reader) const {
  if (!file.lfs) return {file.size_bytes, blob(file), std::nullopt};
  std::string_view user = reader ? std::string_view(reader->user.name) : std::string_view();
  std::optional<std::filesystem::path> object = parts_.lfs.readable(info_.key, file.lfs->oid, user);
  if (!object) {
    throw StoreError(StoreReason::no_entry, fmt::format("the LFS object of {} was not uploaded", quoted(file.path)),
        "upload it with `git lfs push`");
  }
  return {parts_.lfs.size_of(file.lfs->oid).value_or(0), {}, object};
}

std::string Repo::blob(const git::Entry& file) const {
  if (!file.is_file()) git::throw_no_entry(file.path);
  return git_->blob(git::oid_of(file.oid));
}

git::Commit Repo::commit(const std::string& commit) const { return git::read_commit(*git_, commit); }

git::CommitPage Repo::log(const std::string& commit, uint64_t offset, uint64_t limit) const {
  return git::read_log(*git_, commit, offset, limit);
}

git::Refs Repo::refs() const {
  git::Refs refs = git::list_refs(*git_);
  parts_.database->each("SELECT number FROM reserved WHERE repo = ?", {info_.key}, [&](const Row& row) {
    std::erase_if(refs.pull_requests,
        [name = "refs/pr/" + std::to_string(row.number(0))](const git::Ref& ref) { return ref.full_name == name; });
  });
  return refs;
}

uint64_t Repo::used_bytes() const {
  return static_cast<uint64_t>(parts_.database
          ->number(
              "SELECT SUM(o.size) FROM repo_objects r JOIN objects o ON o.oid = r.oid WHERE r.repo = ?", {info_.key})
          .value_or(0));
}

void Repo::create_branch(std::string_view name, std::string_view from) {
  const RefChange ref_change(*parts_.database, info_.key);
  git::create_branch(*git_, name, from.empty() ? "main" : from);
}

void Repo::delete_branch(std::string_view name) {
  git::delete_branch(*git_, name);
  record_deleted_ref(*parts_.database, info_.key);
}

void Repo::create_tag(std::string_view name, std::string_view revision, std::string_view message, std::string_view by) {
  const RefChange ref_change(*parts_.database, info_.key);
  git::create_tag(*git_, name, revision, message, by);
}

void Repo::delete_tag(std::string_view name) {
  git::delete_tag(*git_, name);
  record_deleted_ref(*parts_.database, info_.key);
}

std::string Repo::diff(const std::string& from_commit, const std::string& to_commit) const {
  return git::print_diff(*git_, from_commit, to_commit, parts_.limits.diff_bytes);
}

}  // namespace depickle::server::repos
