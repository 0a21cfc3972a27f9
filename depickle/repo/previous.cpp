#include "depickle/repo/previous.h"

#include <algorithm>
#include <map>
#include <set>

namespace depickle::repo {
namespace {

constexpr size_t kMaxRequests = 200;
constexpr size_t kMaxCommits = 100;  // of a pull request's log, searched for its base

bool is_open(const hub::Discussion& discussion) {
  return discussion.is_pull_request &&
         (discussion.status == hub::DiscussionStatus::open || discussion.status == hub::DiscussionStatus::draft);
}

std::map<std::string_view, std::string_view> ids_of(const std::vector<hub::RepoFile>& files) {
  std::map<std::string_view, std::string_view> ids;
  for (const hub::RepoFile& file : files) ids.emplace(file.path, file.etag());
  return ids;
}

// Returns whether a file of the Hub has the content of a converted one, which may be stored by LFS or not.
bool is_equal(const hub::RepoFile& file, const hub::RepoFile& converted) {
  if (!file.sha256.empty()) return file.sha256 == converted.sha256;
  return !converted.blob_id.empty() && file.blob_id == converted.blob_id;
}

bool contains_all(const std::vector<hub::RepoFile>& files, const std::vector<hub::RepoFile>& converted) {
  std::map<std::string_view, const hub::RepoFile*> by_path;
  for (const hub::RepoFile& file : files) by_path.emplace(file.path, &file);
  return std::ranges::all_of(converted, [&](const hub::RepoFile& file) {
    const auto there = by_path.find(file.path);
    return there != by_path.end() && is_equal(*there->second, file);
  });
}

// Returns whether `files` are those of `intent` with the converted ones, and no others.
bool is_exactly(const std::vector<hub::RepoFile>& files, const Intent& intent) {
  std::set<std::string_view> converted;
  for (const hub::RepoFile& file : intent.converted) converted.insert(file.path);
  std::map<std::string_view, std::string_view> others = ids_of(intent.files);
  std::erase_if(others, [&](const auto& file) { return converted.contains(file.first); });
  std::map<std::string_view, std::string_view> there = ids_of(files);
  std::erase_if(there, [&](const auto& file) { return converted.contains(file.first); });
  return there == others && contains_all(files, intent.converted);
}

// Returns whether a request failed because the pull request's ref was deleted meanwhile.
bool is_gone(const hub::Failure& failure) { return failure.is_missing_revision() || failure.is_missing_file(); }

std::vector<std::string> paths_of(const std::vector<hub::RepoFile>& files) {
  std::vector<std::string> paths;
  for (const hub::RepoFile& file : files) paths.push_back(file.path);
  return paths;
}

}  // namespace

std::optional<std::string> merge_base(
    const std::vector<hub::Commit>& request_commits, const std::vector<hub::Commit>& branch_commits) {
  std::set<std::string_view> on_branch;
  for (const hub::Commit& commit : branch_commits) on_branch.insert(commit.id);
  for (const hub::Commit& commit : request_commits)
    if (on_branch.contains(commit.id)) return commit.id;
  return std::nullopt;
}

Relation relation(const PullRequest& request, const Plan& rest, const Intent& intent) {
  if (!is_open(request.discussion)) return Relation::none;
  const auto ids = ids_of(request.files);
  const bool same_base = request.base == intent.commit;
  if (is_own(request.discussion, intent.author) && !same_base) return Relation::stale;
  if (!intent.converted.empty() && contains_all(request.files, intent.converted))
    return same_base && is_exactly(request.files, intent) ? Relation::same : Relation::candidate;
  if (same_base && rest.nothing_to_do()) return Relation::candidate;
  const bool adds_some =
      std::ranges::any_of(intent.new_files, [&](const std::string& file) { return ids.contains(file); });
  return adds_some ? Relation::part : Relation::none;
}

std::string target_branch(const hub::DiscussionDetails& details) {
  constexpr std::string_view kHeads = "refs/heads/";
  return details.target.starts_with(kHeads) ? details.target.substr(kHeads.size()) : "main";
}

bool is_own(const hub::Discussion& discussion, std::string_view author) {
  return is_open(discussion) && !author.empty() && discussion.author == author && discussion.title == kTitle;
}

std::vector<PullRequest> open_pull_requests(const hub::Client& client, const hub::RepoId& repo, std::string_view branch,
    const std::vector<hub::Commit>& branch_commits) {
  std::vector<PullRequest> requests;
  for (hub::Discussion& discussion : hub::list_discussions(client, repo,
           {.kind = hub::DiscussionFilter::Kind::pull_request, .state = hub::DiscussionFilter::State::all})) {
    if (!is_open(discussion)) continue;
    if (requests.size() == kMaxRequests) break;
    try {
      const std::vector<hub::Commit> commits = client.commits(repo, discussion.revision(), kMaxCommits);
      const std::optional<std::string> base = merge_base(commits, branch_commits);
      if (commits.empty() || !base || commits.front().id == *base)
        continue;  // a draft without a change, or an unrelated history
      if (target_branch(hub::discussion(client, repo, discussion.number)) != branch) continue;
      std::vector<hub::RepoFile> files = client.files(repo, commits.front().id);
      requests.push_back(
          {.discussion = std::move(discussion), .base = *base, .head = commits.front().id, .files = std::move(files)});
    } catch (const hub::Failure& failure) {
      if (!is_gone(failure)) throw;
    }
  }
  return requests;
}

std::optional<uint64_t> helpful_pull_request(const hub::Client& client, const hub::RepoId& repo,
    const std::optional<std::string>& model_index, const weights::PickOptions& options) {
  weights::PickOptions safe = options;
  safe.allow_pickle = false;
  for (const PullRequest& request :
      open_pull_requests(client, repo, "main", client.commits(repo, "main", kMaxCommits))) {
    try {
      weights::pick(paths_of(request.files), model_index, safe);
      return request.discussion.number;
    } catch (const Error& error) {
      if (error.code() != Code::unsafe && error.code() != Code::not_found) throw;
    }
  }
  return std::nullopt;
}

}  // namespace depickle::repo
