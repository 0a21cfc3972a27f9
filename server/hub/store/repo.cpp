#include "server/hub/store/repo.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/store/git.h"
#include "server/hub/store/parts.h"
#include "server/hub/store/pointer.h"
#include "server/hub/store/store_error.h"

namespace depickle::server {
namespace {

constexpr int kDeepest = 512;

bool is_hex_prefix(std::string_view text) {
  return text.size() >= 5 && text.size() <= 40 && text.find_first_not_of("0123456789abcdefABCDEF") == text.npos;
}

StoreError no_revision(std::string_view revision) {
  return StoreError(StoreReason::no_revision, fmt::format("Invalid rev id: {}", printable(revision)));
}

StoreError no_entry(std::string_view path) {
  return StoreError(StoreReason::no_entry, fmt::format("{} does not exist", quoted(path)));
}

std::optional<Entry> entry_of(const Git& git, const git_tree_entry* object, std::string path) {
  Entry entry;
  entry.path = std::move(path);
  const git_oid& oid = *git_tree_entry_id(object);
  entry.oid = hex(oid);
  switch (git_tree_entry_type(object)) {
    case GIT_OBJECT_TREE: entry.kind = Entry::Kind::folder; return entry;
    case GIT_OBJECT_BLOB: break;
    default: return std::nullopt;  // a submodule: another repository's commit, nothing of this one
  }
  entry.size_bytes = git.blob_bytes(oid);
  entry.lfs = git.pointer(oid, entry.size_bytes);
  if (entry.lfs) {
    entry.pointer_bytes = entry.size_bytes;
    entry.size_bytes = entry.lfs->size_bytes;
  }
  return entry;
}

// One page of a tree. Folders before the cursor are not opened.
class Lister {
 public:
  Lister(const Git& git, const TreeQuery& query, TreePage& page)
      : git_(git),
        query_(query),
        page_(page),
        skipping_(!query.cursor.empty()) {}

  // False once the page is full.
  bool walk(const git_tree* tree, const std::string& prefix, int depth = 0) {
    if (depth > kDeepest) throw StoreError(StoreReason::too_large, "folders are nested too deeply");
    for (size_t i = 0; i < git_tree_entrycount(tree); ++i) {
      const git_tree_entry* object = git_tree_entry_byindex(tree, i);
      std::string path = prefix + git_tree_entry_name(object);
      bool is_folder = git_tree_entry_type(object) == GIT_OBJECT_TREE;
      bool wanted = !skipping_ || query_.cursor.starts_with(path + "/");
      if (skipping_ && path == query_.cursor) {
        skipping_ = false;
        wanted = true;  // what is in it comes after it
      } else if (!skipping_ && !add(object, path)) {
        return false;
      }
      if (is_folder && query_.recursive && wanted &&
          !walk(git_.tree(*git_tree_entry_id(object)).get(), path + "/", depth + 1))
        return false;
    }
    return true;
  }
  bool cursor_found() const { return !skipping_; }

 private:
  bool add(const git_tree_entry* object, const std::string& path) {
    if (page_.entries.size() == query_.limit) {
      page_.next = page_.entries.back().path;
      return false;
    }
    if (std::optional<Entry> entry = entry_of(git_, object, path)) page_.entries.push_back(std::move(*entry));
    return true;
  }

  const Git& git_;
  const TreeQuery& query_;
  TreePage& page_;
  bool skipping_;
};

// Null where there is nothing at `path`; the root itself for an empty path.
GitTree find_folder(const Git& git, const std::string& commit, const std::string& path) {
  GitTree root = git.tree_of_commit(oid_of(commit));
  if (path.empty()) return root;
  git_tree_entry* found = nullptr;
  if (git_tree_entry_bypath(&found, root.get(), path.c_str()) != 0) return nullptr;
  GitOwned<git_tree_entry, git_tree_entry_free> entry(found);
  return git_tree_entry_type(found) == GIT_OBJECT_TREE ? git.tree(*git_tree_entry_id(found)) : nullptr;
}

std::string without_slashes(std::string_view path) {
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  return std::string(path);
}

}  // namespace

Repo::Repo(StoreParts& parts, RepoInfo info)
    : parts_(parts),
      info_(std::move(info)),
      git_(std::make_unique<Git>(parts.git_folder(info_.key))) {}
Repo::~Repo() = default;
Repo::Repo(Repo&&) noexcept = default;

std::filesystem::path Repo::git_folder() const { return parts_.git_folder(info_.key); }

std::optional<std::string> Repo::find_commit(std::string_view revision) const {
  if (revision.empty() || revision.size() > 300 || revision.find('\0') != revision.npos) return std::nullopt;
  std::string name(revision);
  if (name == "HEAD") name = "main";
  if (name.starts_with("refs/")) {
    std::optional<git_oid> oid = git_->find_ref(name);
    return oid ? std::optional(hex(*oid)) : std::nullopt;
  }
  for (const char* folder : {"refs/heads/", "refs/tags/"}) {
    if (std::optional<git_oid> oid = git_->find_ref(folder + name)) return hex(*oid);
  }
  if (!is_hex_prefix(name)) return std::nullopt;
  git_oid prefix{};
  git_object* found = nullptr;
  if (git_oid_fromstrn(&prefix, name.data(), name.size()) != 0) return std::nullopt;
  if (git_object_lookup_prefix(&found, git_->get(), &prefix, name.size(), GIT_OBJECT_COMMIT) != 0) return std::nullopt;
  GitOwned<git_object, git_object_free> object(found);
  return hex(*git_object_id(found));
}

std::string Repo::commit_at(std::string_view revision) const {
  std::optional<std::string> commit = find_commit(revision);
  if (!commit) throw no_revision(revision);
  return *commit;
}

std::optional<Entry> Repo::find_entry(const std::string& commit, std::string_view path_text) const {
  std::string path = without_slashes(path_text);
  if (path.empty() || path.size() > parts_.limits.path_bytes || path.find('\0') != path.npos) return std::nullopt;
  git_tree_entry* found = nullptr;
  if (git_tree_entry_bypath(&found, git_->tree_of_commit(oid_of(commit)).get(), path.c_str()) != 0) return std::nullopt;
  GitOwned<git_tree_entry, git_tree_entry_free> object(found);
  return entry_of(*git_, found, path);
}

Entry Repo::entry_at(const std::string& commit, std::string_view path) const {
  std::optional<Entry> entry = find_entry(commit, path);
  if (!entry) throw no_entry(path);
  return *entry;
}

TreePage Repo::list(const std::string& commit, const TreeQuery& query) const {
  TreePage page;
  std::string path = without_slashes(query.path);
  GitTree folder = path.find('\0') == path.npos ? find_folder(*git_, commit, path) : nullptr;
  if (!folder) throw no_entry(query.path);
  Lister lister(*git_, query, page);
  lister.walk(folder.get(), path.empty() ? "" : path + "/");
  if (!lister.cursor_found())
    throw StoreError(StoreReason::malformed, fmt::format("{} is no cursor of this tree", quoted(query.cursor)));
  return page;
}

std::vector<Entry> Repo::files(const std::string& commit) const {
  TreePage page = list(commit, {.recursive = true, .limit = 2 * parts_.limits.repository_files, .cursor = ""});
  std::erase_if(page.entries, [](const Entry& entry) { return !entry.is_file(); });
  if (!page.next.empty() || page.entries.size() > parts_.limits.repository_files) {
    throw StoreError(StoreReason::too_large,
        fmt::format("the repository has more than {} files", grouped(parts_.limits.repository_files)));
  }
  return std::move(page.entries);
}

FileContent Repo::content(const Entry& file, const Caller* reader) const {
  if (!file.lfs) return {file.size_bytes, blob(file), std::nullopt};
  std::optional<std::filesystem::path> object = parts_.lfs.readable(info_, file.lfs->oid, reader);
  if (!object)
    throw StoreError(StoreReason::no_entry, fmt::format("the content of {} was never uploaded", quoted(file.path)),
        "upload it with `git lfs push`");
  return {parts_.lfs.size_of(file.lfs->oid).value_or(0), {}, object};
}

std::string Repo::blob(const Entry& file) const {
  if (!file.is_file()) throw no_entry(file.path);
  return git_->blob(oid_of(file.oid));
}

uint64_t Repo::used_bytes() const {
  return static_cast<uint64_t>(parts_.database
          ->number(
              "SELECT SUM(o.size) FROM repo_objects r JOIN objects o ON o.oid = r.oid WHERE r.repo = ?", {info_.key})
          .value_or(0));
}

}  // namespace depickle::server
