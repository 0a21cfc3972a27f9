#include "server/hub/git/history.h"

#include <algorithm>
#include <map>
#include <optional>

#include "server/hub/git/repository.h"

namespace depickle::server::git {
namespace {

constexpr std::string_view kUnknownAuthor = "unknown";

// Returns the oid of `path`; nullopt if it does not exist.
std::optional<git_oid> oid_at(const git_tree* root, const std::string& path) {
  git_tree_entry* found = nullptr;
  if (git_tree_entry_bypath(&found, root, path.c_str()) != 0) return std::nullopt;
  Owned<git_tree_entry, git_tree_entry_free> entry(found);
  return *git_tree_entry_id(found);
}

bool is_same_oid(const std::optional<git_oid>& a, const std::optional<git_oid>& b) {
  return a.has_value() == b.has_value() && (!a || git_oid_equal(&*a, &*b));
}

// Returns the first parent in which each path of `paths` has the same content as in `object`; nullopt if no parent
// has it.
std::vector<std::optional<git_oid>> unchanged_parents(
    const Repository& git, const git_commit* object, const std::vector<std::string>& paths) {
  OwnedTree tree = git.tree(*git_commit_tree_id(object));
  std::vector<std::optional<git_oid>> oids, parents(paths.size());
  for (const std::string& path : paths) oids.push_back(oid_at(tree.get(), path));
  for (unsigned p = 0; p < git_commit_parentcount(object); ++p) {
    const git_oid& parent = *git_commit_parent_id(object, p);
    OwnedTree parent_tree = git.tree_of_commit(parent);
    bool is_same_tree = git_oid_equal(git_tree_id(parent_tree.get()), git_tree_id(tree.get()));
    for (size_t k = 0; k < paths.size(); ++k) {
      if (!parents[k] && (is_same_tree || is_same_oid(oids[k], oid_at(parent_tree.get(), paths[k])))) {
        parents[k] = parent;
      }
    }
  }
  return parents;
}

}  // namespace

Commit read_commit(const Repository& git, const std::string& id) {
  OwnedCommit object = git.commit(oid_of(id));
  Commit commit;
  commit.id = id;
  const char* found = git_commit_message(object.get());
  std::string message(found ? found : "");
  size_t end = std::min(message.find('\n'), message.size());
  commit.title = message.substr(0, end);
  size_t rest = message.find_first_not_of('\n', end);
  if (rest != message.npos) commit.message = message.substr(rest);
  const git_signature* author = git_commit_author(object.get());
  commit.author = author && author->name ? author->name : kUnknownAuthor;
  commit.date = git_commit_time(object.get()) * 1000;
  for (unsigned i = 0; i < git_commit_parentcount(object.get()); ++i)
    commit.parents.push_back(hex(*git_commit_parent_id(object.get(), i)));
  return commit;
}

CommitPage read_log(const Repository& git, const std::string& commit, uint64_t offset, uint64_t limit) {
  git_revwalk* created = nullptr;
  check_git(git_revwalk_new(&created, git.get()), "walk the history");
  Owned<git_revwalk, git_revwalk_free> walk(created);
  git_revwalk_sorting(created, GIT_SORT_TOPOLOGICAL | GIT_SORT_TIME);
  git_oid oid = oid_of(commit);
  check_git(git_revwalk_push(created, &oid), "walk the history");
  CommitPage page;
  for (; git_revwalk_next(&oid, created) == 0; ++page.total) {
    if (page.total >= offset && page.commits.size() < limit) page.commits.push_back(read_commit(git, hex(oid)));
  }
  return page;
}

std::vector<Commit> last_commits(const Repository& git, const std::string& commit, std::span<const std::string> paths) {
  // `pending` contains, for each commit, the paths that have the same content there as in `commit`. A path moves on
  // to the first parent that still has the content. If no parent has it, the commit changed the path.
  std::vector<Commit> result(paths.size());
  std::map<std::string, std::vector<size_t>> pending;
  for (size_t i = 0; i < paths.size(); ++i) pending[commit].push_back(i);
  while (!pending.empty()) {
    auto [id, indexes] = *pending.begin();
    pending.erase(pending.begin());
    std::vector<std::string> names;
    for (size_t i : indexes) names.push_back(paths[i]);
    std::vector<std::optional<git_oid>> parents = unchanged_parents(git, git.commit(oid_of(id)).get(), names);
    for (size_t k = 0; k < indexes.size(); ++k) {
      if (const std::optional<git_oid>& parent = parents[k]) {
        pending[hex(*parent)].push_back(indexes[k]);
      } else {
        result[indexes[k]] = read_commit(git, id);
      }
    }
  }
  return result;
}

}  // namespace depickle::server::git
