#include "server/hub/repos/access_requests.h"

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/base/database.h"
#include "server/base/random_id.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::repos {
namespace {

constexpr std::string_view kAccessStatus[] = {"pending", "accepted", "rejected"};
constexpr size_t kMaxReasonBytes = 1000;  // huggingface_hub documents 200 characters

AccessRequest read_request(const Row& row) {
  return {row.text(0), row.text(1), static_cast<AccessStatus>(row.number(2)), row.number(3), row.text(4)};
}

void check_gated(const RepoInfo& repo) {
  if (repo.settings.gate == Gate::open)
    throw StoreError(StoreReason::malformed, fmt::format("{} is not gated", repo.id.full()));
}

}  // namespace

std::string_view name(AccessStatus status) noexcept { return kAccessStatus[static_cast<int>(status)]; }

std::optional<AccessStatus> access_status_named(std::string_view text) noexcept {
  for (int i = 0; i < 3; ++i) {
    if (text == kAccessStatus[i]) return static_cast<AccessStatus>(i);
  }
  return std::nullopt;
}

AccessRequest AccessRequests::ask(const RepoInfo& repo, std::string_view user) {
  check_gated(repo);
  const std::string asking = existing_user(user);
  database_->transaction([&] {
    std::optional<AccessRequest> request = find(repo, asking);
    const bool is_accepted = repo.settings.gate == Gate::automatic;
    if (!request || (is_accepted && request->status == AccessStatus::pending))
      put(repo, asking, is_accepted ? AccessStatus::accepted : AccessStatus::pending);
  });
  return find(repo, asking).value();
}

std::vector<AccessRequest> AccessRequests::list(const RepoInfo& repo, AccessStatus status) const {
  check_gated(repo);
  std::vector<AccessRequest> requests;
  database_->each(
      "SELECT id, user, status, requested_at, reason FROM access_requests WHERE repo = ? AND status = ? ORDER BY "
      "requested_at, user",
      {repo.key, int64_t(status)}, [&](const Row& row) { requests.push_back(read_request(row)); });
  return requests;
}

AccessRequest AccessRequests::grant(const RepoInfo& repo, std::string_view user) {
  check_gated(repo);
  const std::string granted = existing_user(user);
  database_->transaction([&] {
    const std::optional<AccessRequest> request = find(repo, granted);
    if (request && request->status == AccessStatus::accepted)
      throw StoreError(StoreReason::malformed, fmt::format("{} already has access to {}", granted, repo.id.full()));
    put(repo, granted, AccessStatus::accepted);
  });
  return find(repo, granted).value();
}

void AccessRequests::set_status(
    const RepoInfo& repo, std::string_view user, AccessStatus status, std::string_view reason) {
  check_gated(repo);
  if (reason.size() > kMaxReasonBytes)
    throw StoreError(StoreReason::malformed,
        fmt::format("the reason is too long (have {} bytes, at most {})", reason.size(), kMaxReasonBytes));
  const std::string existing = existing_user(user);
  const int64_t changed = database_->run(
      "UPDATE access_requests SET status = ?1, reason = ?2 WHERE repo = ?3 AND user = ?4 AND status <> ?1",
      {int64_t(status), reason, repo.key, existing});
  if (changed == 0)
    throw StoreError(StoreReason::no_entry,
        fmt::format("{} has no access request for {} that could become {}", existing, repo.id.full(), name(status)));
}

std::string AccessRequests::user_of(const RepoInfo& repo, std::string_view request_id) const {
  std::optional<std::string> user =
      database_->text("SELECT user FROM access_requests WHERE repo = ? AND id = ?", {repo.key, request_id});
  if (!user)
    throw StoreError(StoreReason::no_entry, fmt::format("access request {} does not exist", quoted(request_id)));
  return *user;
}

std::optional<AccessRequest> AccessRequests::find(const RepoInfo& repo, std::string_view user) const {
  std::optional<AccessRequest> request;
  database_->each("SELECT id, user, status, requested_at, reason FROM access_requests WHERE repo = ? AND user = ?",
      {repo.key, user}, [&](const Row& row) { request = read_request(row); });
  return request;
}

void AccessRequests::put(const RepoInfo& repo, std::string_view user, AccessStatus status) {
  const std::string id = random_hex(24);
  database_->run(
      "INSERT INTO access_requests(repo, user, id, status, requested_at) VALUES(?, ?, ?, ?, ?) ON CONFLICT(repo, user) "
      "DO UPDATE SET status = excluded.status, reason = ''",
      {repo.key, user, id, int64_t(status), now_ms()});
}

std::string AccessRequests::existing_user(std::string_view user) const {
  std::optional<std::string> spelled = database_->text("SELECT name FROM users WHERE name = ?", {user});
  if (!spelled) throw StoreError(StoreReason::no_user, fmt::format("user {} does not exist", quoted(user)));
  return *spelled;
}

}  // namespace depickle::server::repos
