#include "server/hub/repos/commit.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/git/ignore.h"
#include "server/hub/git/names.h"
#include "server/hub/git/store_error.h"
#include "server/hub/repos/change.h"
#include "server/hub/repos/pull_request.h"
#include "server/hub/repos/ref_change.h"
#include "server/hub/repos/store_parts.h"

namespace depickle::server::repos {
namespace {

std::string full_message(const StoreLimits& limits, const CommitRequest& request) {
  check_text(limits, request.message);
  std::string title = checked_title(limits, request.title);
  return request.message.empty() ? title : title + "\n\n" + request.message;
}

void check_parent(const CommitRequest& request, const git_oid& head) {
  std::string parent = request.parent;
  if (parent.empty()) return;
  std::transform(parent.begin(), parent.end(), parent.begin(),
      [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c; });
  if (parent.size() < 5 || parent.size() > 40 || !git::hex(head).starts_with(parent)) {
    throw StoreError(StoreReason::head_moved,
        fmt::format("the head of the branch has moved (have {}, need {})", git::hex(head), printable(request.parent)),
        "read the new commits, then try again");
  }
}

bool looks_binary(std::string_view sample) {
  if (sample.find('\0') != sample.npos) return true;
  // The sample may end inside a UTF-8 character.
  for (size_t cut = 0; cut < 4 && cut <= sample.size(); ++cut) {
    if (is_utf8(sample.substr(0, sample.size() - cut))) return false;
  }
  return true;
}

// Returns the full name of a ref that accepts commits. Throws StoreError{no_revision}; {conflict} for a merged pull
// request.
std::string writable_ref(Repo& repo, std::string_view revision) {
  std::string name(revision);
  if (name.starts_with("refs/pr/")) {
    uint64_t number = 0;
    std::from_chars(name.data() + 8, name.data() + name.size(), number);
    if (name != "refs/pr/" + std::to_string(number)) git::throw_no_revision(revision);
    try {
      if (Discussions(repo).at(number).status == Status::merged)
        throw StoreError(StoreReason::conflict, "the pull request is already merged", "open another one");
    } catch (const StoreError& error) {
      if (error.reason() == StoreReason::no_discussion) git::throw_no_revision(revision);
      throw;
    }
    return name;
  }
  if (!name.starts_with("refs/heads/")) name = "refs/heads/" + name;
  return name;
}

}  // namespace

CommitResult Committer::commit(std::string_view revision, CommitRequest request, const Caller& author) {
  StoreParts& parts = repo_.parts_;
  const git::Repository& git = *repo_.git_;
  std::string message = full_message(parts.limits, request);
  const RepoLock lock(parts.locks, repo_.info_.key, request.check_client);
  std::string ref = writable_ref(repo_, revision);
  std::optional<git_oid> head = revision.find('\0') == revision.npos ? git.find_ref(ref) : std::nullopt;
  if (!head) git::throw_no_revision(revision);
  check_parent(request, *head);
  Change change(parts, repo_, git, *head, author);
  change.apply(request.operations, request.check_client);
  git_oid commit = git.write_commit(change.write(), &*head, author.user.name, message);
  const RefChange ref_change(*parts.database, repo_.info_.key, change.objects());
  if (!change.objects().empty()) parts.upload_limits.committed();
  if (!git.set_ref(ref, commit, &*head))
    throw StoreError(StoreReason::head_moved, "the branch moved during the commit", "try again");
  return {git::hex(commit), std::nullopt};
}

CommitResult Committer::commit_as_pull_request(std::string_view revision, CommitRequest request, const Caller& author) {
  StoreParts& parts = repo_.parts_;
  const git::Repository& git = *repo_.git_;
  std::string message = full_message(parts.limits, request), title = checked_title(parts.limits, request.title);
  std::string branch =
      revision.starts_with("refs/heads/") ? std::string(revision) : "refs/heads/" + std::string(revision);
  if (!git.find_ref(branch)) branch = "refs/heads/main";
  git_oid base = git::oid_of(repo_.commit_at(request.parent.empty() ? revision : std::string_view(request.parent)));
  const RepoLock lock(parts.locks, repo_.info_.key, request.check_client);
  Change change(parts, repo_, git, base, author);
  change.apply(request.operations, request.check_client);
  git_oid commit = git.write_commit(change.write(), &base, author.user.name, message);
  const RefChange ref_change(*parts.database, repo_.info_.key, change.objects());
  if (!change.objects().empty()) parts.upload_limits.committed();
  ReservedNumber reserved(parts, repo_.info_.key, lock);
  if (!git.set_ref(reserved.ref(), commit, nullptr))
    throw Error(Code::io, "", fmt::format("{} already exists", reserved.ref()));
  reserved.open_pull_request(title, request.message, author.user.name, Status::open, branch, base);
  return {git::hex(commit), reserved.number()};
}

std::vector<PreuploadResult> Committer::preupload(const PreuploadQuery& query) const {
  const StoreLimits& limits = repo_.parts_.limits;
  const git::Repository& git = *repo_.git_;
  git::TreeEditor tree(git, git_commit_tree_id(git.commit(git::oid_of(query.commit)).get()));
  git::Attributes attributes([&](const std::string& path) {
    return path == ".gitattributes" && query.git_attributes ? query.git_attributes : read_small(git, tree, path);
  });
  git::Ignore ignore(query.git_ignore ? *query.git_ignore : read_small(git, tree, ".gitignore").value_or(""));
  std::vector<PreuploadResult> results;
  for (const PreuploadFile& file : query.files) {
    PreuploadResult result;
    result.path = git::checked_path(file.path, limits.path_bytes);
    result.is_lfs =
        may_be_lfs(file.path, file.size_bytes) && file.size_bytes > query.inline_up_to_bytes &&
        (file.size_bytes > limits.regular_file_bytes || attributes.is_lfs(file.path) || looks_binary(file.sample));
    result.is_ignored = ignore.matches(result.path);
    result.oid = comparable_oid(query.commit, result.path, result.is_lfs);
    results.push_back(std::move(result));
  }
  return results;
}

// The oid of the existing file that a client compares: it knows the SHA-256 of an LFS file, and git's SHA-1 of any
// other.
std::optional<std::string> Committer::comparable_oid(
    const std::string& commit, const std::string& path, bool is_lfs) const {
  std::optional<git::Entry> entry = repo_.find_entry(commit, path);
  if (!entry || !entry->is_file()) return std::nullopt;
  if (is_lfs) return entry->lfs ? std::optional(entry->lfs->oid) : std::nullopt;
  if (!entry->lfs) return entry->oid;
  content::Lfs& lfs = repo_.parts_.lfs;
  return lfs.size_of(entry->lfs->oid) ? std::optional(lfs.git_sha1(entry->lfs->oid)) : std::nullopt;
}

}  // namespace depickle::server::repos
