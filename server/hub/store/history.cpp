// Of Repo: commits, and which of them changed what.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/store/git.h"
#include "server/hub/store/parts.h"
#include "server/hub/store/repo.h"

namespace depickle::server {
namespace {

using RevWalk = GitOwned<git_revwalk, git_revwalk_free>;

constexpr std::string_view kNoAuthor = "unknown";

Commit read_commit(const Git& git, const git_oid& oid) {
  GitCommit object = git.commit(oid);
  Commit commit;
  commit.id = hex(oid);
  const char* found = git_commit_message(object.get());
  std::string message(found ? found : "");
  size_t end = std::min(message.find('\n'), message.size());
  commit.title = message.substr(0, end);
  size_t rest = message.find_first_not_of('\n', end);
  if (rest != message.npos) commit.message = message.substr(rest);
  const git_signature* author = git_commit_author(object.get());
  commit.author = author && author->name ? author->name : kNoAuthor;
  commit.date = git_commit_time(object.get()) * 1000;
  for (unsigned i = 0; i < git_commit_parentcount(object.get()); ++i)
    commit.parents.push_back(hex(*git_commit_parent_id(object.get(), i)));
  return commit;
}

// The oid of `path`; nothing where it is not there.
std::optional<git_oid> oid_at(const git_tree* root, const std::string& path) {
  git_tree_entry* found = nullptr;
  if (git_tree_entry_bypath(&found, root, path.c_str()) != 0) return std::nullopt;
  GitOwned<git_tree_entry, git_tree_entry_free> entry(found);
  return *git_tree_entry_id(found);
}

bool same(const std::optional<git_oid>& a, const std::optional<git_oid>& b) {
  return a.has_value() == b.has_value() && (!a || git_oid_equal(&*a, &*b));
}

}  // namespace

Commit Repo::commit(const std::string& id) const { return read_commit(*git_, oid_of(id)); }

CommitPage Repo::log(const std::string& commit, uint64_t offset, uint64_t limit) const {
  git_revwalk* made = nullptr;
  git_checked(git_revwalk_new(&made, git_->get()), "walk the history");
  RevWalk walk(made);
  git_revwalk_sorting(made, GIT_SORT_TOPOLOGICAL | GIT_SORT_TIME);
  git_oid oid = oid_of(commit);
  git_checked(git_revwalk_push(made, &oid), "walk the history");
  CommitPage page;
  for (; git_revwalk_next(&oid, made) == 0; ++page.total) {
    if (page.total >= offset && page.commits.size() < limit) page.commits.push_back(read_commit(*git_, oid));
  }
  return page;
}

std::vector<Commit> Repo::last_commits(const std::string& commit, std::span<const std::string> paths) const {
  // At each commit stand those paths that are the same there as in `commit`. They go on to the first parent where they are still
  // the same; those that no parent has so were changed here.
  std::vector<Commit> answer(paths.size());
  std::map<std::string, std::vector<size_t>> standing;
  for (size_t i = 0; i < paths.size(); ++i) standing[commit].push_back(i);
  while (!standing.empty()) {
    auto [id, here] = *standing.begin();
    standing.erase(standing.begin());
    GitCommit object = git_->commit(oid_of(id));
    GitTree tree = git_->tree(*git_commit_tree_id(object.get()));
    std::vector<std::optional<git_oid>> now_oids;
    for (size_t i : here) now_oids.push_back(oid_at(tree.get(), paths[i]));
    std::vector<bool> passed(here.size(), false);
    for (unsigned p = 0; p < git_commit_parentcount(object.get()); ++p) {
      const git_oid& parent = *git_commit_parent_id(object.get(), p);
      GitTree before = git_->tree_of_commit(parent);
      bool same_tree = git_oid_equal(git_tree_id(before.get()), git_tree_id(tree.get()));
      for (size_t k = 0; k < here.size(); ++k) {
        if (passed[k] || !(same_tree || same(now_oids[k], oid_at(before.get(), paths[here[k]])))) continue;
        passed[k] = true;
        standing[hex(parent)].push_back(here[k]);
      }
    }
    for (size_t k = 0; k < here.size(); ++k) {
      if (!passed[k]) answer[here[k]] = read_commit(*git_, oid_of(id));
    }
  }
  return answer;
}

std::string Repo::diff(const std::string& from_commit, const std::string& to_commit) const {
  GitTree from = git_->tree_of_commit(oid_of(from_commit)), to = git_->tree_of_commit(oid_of(to_commit));
  git_diff_options options;
  git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
  options.max_size = 1 << 20;  // what is larger shows as binary
  git_diff* made = nullptr;
  git_checked(git_diff_tree_to_tree(&made, git_->get(), from.get(), to.get(), &options), "compare two commits");
  GitOwned<git_diff, git_diff_free> diff(made);
  struct Text {
    std::string text;
    uint64_t max_bytes;
  } out{{}, parts_.limits.diff_bytes};
  auto take = [](const git_diff_delta*, const git_diff_hunk*, const git_diff_line* line, void* to_text) {
    Text& text_out = *static_cast<Text*>(to_text);
    if (text_out.text.size() + line->content_len > text_out.max_bytes) return 1;
    if (line->origin == '+' || line->origin == '-' || line->origin == ' ') text_out.text += line->origin;
    text_out.text.append(line->content, line->content_len);
    return 0;
  };
  int result = git_diff_print(made, GIT_DIFF_FORMAT_PATCH, take, &out);
  if (result < 0) git_checked(result, "print a diff");
  if (result > 0) out.text += "\n… cut here: the diff is longer\n";
  return std::move(out.text);
}

}  // namespace depickle::server
