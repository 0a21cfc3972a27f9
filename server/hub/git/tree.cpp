#include "server/hub/git/tree.h"

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/git/repository.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::git {
namespace {

constexpr int kMaxDepth = 512;

// Returns nullopt for a submodule: it is a commit of another repository.
std::optional<Entry> entry_of(const Repository& git, const git_tree_entry* object, std::string path) {
  Entry entry;
  entry.path = std::move(path);
  const git_oid& oid = *git_tree_entry_id(object);
  entry.oid = hex(oid);
  switch (git_tree_entry_type(object)) {
    case GIT_OBJECT_TREE: entry.is_folder = true; return entry;
    case GIT_OBJECT_BLOB: break;
    default: return std::nullopt;
  }
  entry.size_bytes = git.blob_bytes(oid);
  entry.lfs = git.pointer(oid, entry.size_bytes);
  if (entry.lfs) {
    entry.pointer_bytes = entry.size_bytes;
    entry.size_bytes = entry.lfs->size_bytes;
  }
  return entry;
}

// Fills one page. Folders before the cursor are not opened.
class PageWalk {
 public:
  PageWalk(const Repository& git, const TreeQuery& query, TreePage& page)
      : git_(git),
        query_(query),
        page_(page),
        is_before_cursor_(!query.cursor.empty()) {}

  // Returns false once the page is full.
  bool walk(const git_tree* tree, const std::string& prefix, int depth = 0) {
    if (depth > kMaxDepth) {
      throw StoreError(StoreReason::too_large, fmt::format("folders are nested too deeply (at most {})", kMaxDepth));
    }
    for (size_t i = 0; i < git_tree_entrycount(tree); ++i) {
      const git_tree_entry* object = git_tree_entry_byindex(tree, i);
      std::string path = prefix + git_tree_entry_name(object);
      bool is_folder = git_tree_entry_type(object) == GIT_OBJECT_TREE;
      bool descend = !is_before_cursor_ || query_.cursor.starts_with(path + "/");
      if (is_before_cursor_ && path == query_.cursor) {
        is_before_cursor_ = false;
        descend = true;  // the content of a folder comes after the folder
      } else if (!is_before_cursor_ && !add(object, path)) {
        return false;
      }
      if (is_folder && query_.recursive && descend &&
          !walk(git_.tree(*git_tree_entry_id(object)).get(), path + "/", depth + 1))
        return false;
    }
    return true;
  }
  bool cursor_found() const { return !is_before_cursor_; }

 private:
  bool add(const git_tree_entry* object, const std::string& path) {
    if (page_.entries.size() == query_.limit) {
      page_.next = page_.entries.back().path;
      return false;
    }
    if (std::optional<Entry> entry = entry_of(git_, object, path)) page_.entries.push_back(std::move(*entry));
    return true;
  }

  const Repository& git_;
  const TreeQuery& query_;
  TreePage& page_;
  bool is_before_cursor_;
};

// Returns null if `path` is not a folder; the root if it is empty.
OwnedTree find_folder(const Repository& git, const std::string& commit, const std::string& path) {
  OwnedTree root = git.tree_of_commit(oid_of(commit));
  if (path.empty()) return root;
  git_tree_entry* found = nullptr;
  if (git_tree_entry_bypath(&found, root.get(), path.c_str()) != 0) return nullptr;
  Owned<git_tree_entry, git_tree_entry_free> entry(found);
  return git_tree_entry_type(found) == GIT_OBJECT_TREE ? git.tree(*git_tree_entry_id(found)) : nullptr;
}

std::string without_trailing_slashes(std::string_view path) {
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  return std::string(path);
}

}  // namespace

void throw_no_entry(std::string_view path) {
  throw StoreError(StoreReason::no_entry, fmt::format("{} does not exist", quoted(path)));
}

std::optional<Entry> find_entry(const Repository& git, const std::string& commit, std::string_view path_text) {
  std::string path = without_trailing_slashes(path_text);
  if (path.empty() || path.find('\0') != path.npos) return std::nullopt;
  git_tree_entry* found = nullptr;
  if (git_tree_entry_bypath(&found, git.tree_of_commit(oid_of(commit)).get(), path.c_str()) != 0) return std::nullopt;
  Owned<git_tree_entry, git_tree_entry_free> object(found);
  return entry_of(git, found, path);
}

TreePage list_tree(const Repository& git, const std::string& commit, const TreeQuery& query) {
  TreePage page;
  std::string path = without_trailing_slashes(query.path);
  OwnedTree folder = path.find('\0') == path.npos ? find_folder(git, commit, path) : nullptr;
  if (!folder) throw_no_entry(query.path);
  PageWalk walk(git, query, page);
  walk.walk(folder.get(), path.empty() ? "" : path + "/");
  if (!walk.cursor_found()) {
    throw StoreError(StoreReason::malformed, fmt::format("{} is not a cursor of this tree", quoted(query.cursor)));
  }
  return page;
}

}  // namespace depickle::server::git
