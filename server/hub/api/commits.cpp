// Preupload and commit.
#include <algorithm>
#include <charconv>

#include "depickle/base/base64.h"
#include "server/hub/api/call.h"
#include "server/hub/api/commit_body.h"

namespace depickle::server::api {
namespace {

constexpr size_t kMaxFiles = 256;

bool creates_pull_request(const http::Request& request) { return query_flag(request, "create_pr"); }

// With the right to write, any branch is writable. With the right to discuss, the caller may open a pull request and
// add to their own.
repos::RepoInfo writable_repo(const Call& call) {
  repos::RepoInfo info = call.repo_for(Need::discuss);
  if (call.rights(info).write || creates_pull_request(call.request)) return info;
  std::string_view revision = call.request.captured("rev");
  if (revision.starts_with("refs/pr/")) {
    uint64_t number = 0;
    std::from_chars(revision.data() + 8, revision.data() + revision.size(), number);
    repos::Repo repo = call.hub.store.repo(info);
    if (repos::Discussions(repo).at(number).author == call.signed_in_caller().user.name) return info;
  }
  return call.repo_for(Need::write);  // throws
}

// Throws if the LFS files do not fit: huggingface_hub shows this error, hf-xet only the status of later ones. A file
// with the size of the one that it replaces is probably the same.
void check_space(const Call& call, const repos::Repo& repo, const repos::PreuploadQuery& query,
    const std::vector<repos::PreuploadResult>& results) {
  uint64_t new_bytes = 0;
  for (size_t i = 0; i < results.size(); ++i) {
    if (!results[i].is_lfs || results[i].is_ignored) continue;
    const uint64_t bytes = std::min(query.files[i].size_bytes, call.hub.store.limits().lfs_file_bytes);
    const std::optional<git::Entry> old = repo.find_entry(query.commit, results[i].path);
    if (!old || old->size_bytes != bytes) new_bytes += bytes;
  }
  if (new_bytes > 0) call.hub.store.upload_limits().check_commit(call.signed_in_caller().user.name, new_bytes);
}

http::Response preupload(const Call& call) {
  repos::Repo repo = call.hub.store.repo(writable_repo(call));
  JsonValue body = call.body();
  repos::PreuploadQuery query{.commit = repo.commit_at(call.request.captured("rev")),
      .git_ignore = body["gitIgnore"].text(),
      .git_attributes = body["gitAttributes"].text(),
      .inline_up_to_bytes = call.hub.inline_up_to_bytes};
  if (body["files"].items().size() > kMaxFiles) refuse(413, "TooLarge", "too many files (at most 256)");
  for (const JsonValue& file : body["files"].items()) {
    auto sample = base64_decode(file["sample"].string());
    if (!sample) refuse(400, "BadRequest", "a sample is not Base64");
    query.files.push_back({required_text(file, "path"), std::move(*sample), file["size"].number().value_or(0)});
  }
  std::vector<repos::PreuploadResult> results = repos::Committer(repo).preupload(query);
  check_space(call, repo, query, results);
  return json_response([&](JsonWriter& json) {
    json.object().key("files").array();
    for (const repos::PreuploadResult& result : results) {
      json.object().key("path").value(result.path).key("uploadMode").value(result.is_lfs ? "lfs" : "regular");
      json.key("shouldIgnore").value(result.is_ignored);
      if (result.oid) json.key("oid").value(*result.oid);
      json.end();
    }
    json.end().key("commitOid").value(query.commit).end();
  });
}

class CommitReceiver final : public http::Receiver {
 public:
  CommitReceiver(Hub& hub, http::Request& request, const http::Bodies& bodies)
      : call_(hub, request),
        info_(writable_repo(call_)),
        share_(bodies.share(call_.sender())),
        body_(hub.store.spool(), hub.store.limits()) {}

  void take(Bytes block) override {
    body_.take(block);
    share_.grow_to(body_.memory_bytes());
  }

  http::Response finish() override {
    repos::Repo repo = call_.hub.store.repo(info_);
    const std::string& revision = call_.request.captured("rev");
    repos::Committer committer(repo);
    repos::CommitRequest commit = body_.finish();
    commit.check_client = [this] { call_.request.check_client(); };
    repos::CommitResult result =
        creates_pull_request(call_.request)
            ? committer.commit_as_pull_request(revision, std::move(commit), call_.signed_in_caller())
            : committer.commit(revision, std::move(commit), call_.signed_in_caller());
    return json_response([&](JsonWriter& json) {
      std::string url = call_.web_url(info_.id);
      json.object().key("success").value(true).key("commitOid").value(result.commit);
      json.key("commitUrl").value(url + "/commit/" + result.commit).key("hookOutput").value("");
      if (result.pull_request)
        json.key("pullRequestUrl").value(url + "/discussions/" + std::to_string(*result.pull_request));
      json.end();
    });
  }

 private:
  Call call_;
  repos::RepoInfo info_;
  http::BodyShare share_;
  CommitBody body_;
};

}  // namespace

void add_commit_routes(http::Router& router, Hub& hub) {
  const std::string repo = "/api/{type}/{ns}/{name}";
  auto needs_branch = [](const Call& call) { writable_repo(call); };
  router.add_with_body(
      "POST", repo + "/preupload/{rev:rev}", body_endpoint(hub, needs_branch, preupload, 8 << 20), http::Work::slow);
  router.add_with_body(
      "POST", repo + "/commit/{rev:rev}",
      [&hub](http::Request& request, const http::Bodies& bodies) {
        return std::make_unique<CommitReceiver>(hub, request, bodies);
      },
      http::Work::slow);
}

}  // namespace depickle::server::api
