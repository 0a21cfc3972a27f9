#include "server/hub/store/commit.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/store/change.h"
#include "server/hub/store/parts.h"
#include "server/hub/store/pull_request.h"
#include "server/hub/store/store_error.h"

namespace depickle::server {
namespace {

StoreError no_revision(std::string_view revision) {
  return StoreError(StoreReason::no_revision, fmt::format("Invalid rev id: {}", printable(revision)));
}

std::string full_message(const Limits& limits, const CommitRequest& request) {
  check_text(limits, request.message);
  std::string title = checked_title(limits, request.title);
  return request.message.empty() ? title : title + "\n\n" + request.message;
}

void check_parent(const CommitRequest& request, const git_oid& head) {
  std::string parent = request.parent;
  if (parent.empty()) return;
  std::transform(parent.begin(), parent.end(), parent.begin(),
      [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
  if (parent.size() < 5 || parent.size() > 40 || !hex(head).starts_with(parent)) {
    throw StoreError(StoreReason::head_moved,
        fmt::format("the branch has moved: its head is {}, not {}", hex(head), printable(request.parent)),
        "look at the new commits, then try again");
  }
}

// Before the ref moves: a repository may name an object too many, but no commit of it may name one that it cannot read.
void prepare_rows(StoreParts& parts, int64_t repo, const std::set<std::string>& objects) {
  parts.database->transaction([&] {
    parts.database->run("UPDATE repos SET modified_at = ? WHERE key = ?", {now_ms(), repo});
    for (const std::string& oid : objects)
      parts.database->run("INSERT OR IGNORE INTO repo_objects VALUES(?, ?)", {repo, oid});
  });
}

bool looks_binary(std::string_view sample) {
  if (sample.find('\0') != sample.npos) return true;
  // The sample may end within a character.
  for (size_t cut = 0; cut < 4 && cut <= sample.size(); ++cut) {
    if (is_utf8(sample.substr(0, sample.size() - cut))) return false;
  }
  return true;
}

}  // namespace

// The full name of a ref that takes commits. Throws no_revision.
static std::string writable_ref(Repo& repo, std::string_view revision) {
  std::string name(revision);
  if (name.starts_with("refs/pr/")) {
    uint64_t number = 0;
    std::from_chars(name.data() + 8, name.data() + name.size(), number);
    if (name != "refs/pr/" + std::to_string(number)) throw no_revision(revision);
    try {
      if (Discussions(repo).at(number).status == Status::merged)
        throw StoreError(StoreReason::conflict, "the pull request is merged already", "open another one");
    } catch (const StoreError& refusal) {
      if (refusal.reason() == StoreReason::no_discussion) throw no_revision(revision);
      throw;
    }
    return name;
  }
  if (!name.starts_with("refs/heads/")) name = "refs/heads/" + name;
  return name;
}

CommitResult Committer::commit(std::string_view revision, CommitRequest request, const Caller& author) {
  StoreParts& parts = repo_.parts_;
  const Git& git = *repo_.git_;
  std::string message = full_message(parts.limits, request);
  std::shared_ptr<std::mutex> mutex = parts.locks.of(repo_.info_.key);
  std::lock_guard lock(*mutex);
  std::string ref = writable_ref(repo_, revision);
  std::optional<git_oid> head = revision.find('\0') == revision.npos ? git.find_ref(ref) : std::nullopt;
  if (!head) throw no_revision(revision);
  check_parent(request, *head);
  Change change(parts, repo_, git, *head, author);
  change.apply(request.operations);
  git_oid commit = git.write_commit(change.write(), &*head, author.user.name, message);
  prepare_rows(parts, repo_.info_.key, change.objects());
  if (!git.set_ref(ref, commit, &*head))
    throw StoreError(StoreReason::head_moved, "the branch moved during the commit", "try again");
  return {hex(commit), std::nullopt};
}

CommitResult Committer::commit_as_pull_request(std::string_view revision, CommitRequest request, const Caller& author) {
  StoreParts& parts = repo_.parts_;
  const Git& git = *repo_.git_;
  std::string message = full_message(parts.limits, request), title = checked_title(parts.limits, request.title);
  std::string branch =
      revision.starts_with("refs/heads/") ? std::string(revision) : "refs/heads/" + std::string(revision);
  if (!git.find_ref(branch)) branch = "refs/heads/main";
  git_oid base = oid_of(repo_.commit_at(request.parent.empty() ? revision : std::string_view(request.parent)));
  std::shared_ptr<std::mutex> mutex = parts.locks.of(repo_.info_.key);
  std::lock_guard lock(*mutex);
  Change change(parts, repo_, git, base, author);
  change.apply(request.operations);
  git_oid commit = git.write_commit(change.write(), &base, author.user.name, message);
  prepare_rows(parts, repo_.info_.key, change.objects());
  ReservedNumber reserved(parts, repo_.info_.key);
  if (!git.set_ref(reserved.ref(), commit, nullptr))
    throw Error(Code::io, "", fmt::format("{} already exists", reserved.ref()));
  reserved.open_pull_request(title, request.message, author.user.name, Status::open, branch, base);
  return {hex(commit), reserved.number()};
}

std::vector<PreuploadAnswer> Committer::preupload(const PreuploadQuery& query) const {
  const StoreParts& parts = repo_.parts_;
  const Git& git = *repo_.git_;
  TreeEditor tree(git, git_commit_tree_id(git.commit(oid_of(query.commit)).get()));
  Attributes attributes([&](const std::string& path) {
    return path == ".gitattributes" && query.git_attributes ? query.git_attributes : read_small(git, tree, path);
  });
  std::string ignore = query.git_ignore ? *query.git_ignore : read_small(git, tree, ".gitignore").value_or("");
  git_checked(git_ignore_clear_internal_rules(git.get()), "forget what it ignored");
  git_checked(git_ignore_add_rule(git.get(), ignore.c_str()), "read .gitignore");
  std::vector<PreuploadAnswer> answers;
  for (const PreuploadFile& file : query.files) {
    PreuploadAnswer answer;
    answer.path = checked_path(file.path, parts.limits.path_bytes);
    answer.lfs = may_be_lfs(file.path, file.size_bytes) && file.size_bytes > query.inline_up_to_bytes &&
                 (file.size_bytes > parts.limits.regular_file_bytes || attributes.is_lfs(file.path) ||
                     looks_binary(file.sample));
    int ignored = 0;
    git_checked(git_ignore_path_is_ignored(&ignored, git.get(), answer.path.c_str()), "ask .gitignore");
    answer.ignored = ignored == 1;
    std::optional<Entry> entry = repo_.find_entry(query.commit, answer.path);
    if (entry && entry->is_file()) {
      if (answer.lfs) {
        if (entry->lfs) answer.oid = entry->lfs->oid;
      } else if (!entry->lfs) {
        answer.oid = entry->oid;
      } else if (parts.lfs.size_of(entry->lfs->oid)) {
        answer.oid = repo_.parts_.lfs.git_sha1(entry->lfs->oid);
      }
    }
    answers.push_back(std::move(answer));
  }
  return answers;
}

}  // namespace depickle::server
