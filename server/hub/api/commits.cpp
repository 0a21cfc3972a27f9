// Writing: preupload and commit.
#include <charconv>

#include "server/hub/api/call.h"
#include "server/hub/api/commit_body.h"

namespace depickle::server::api {
namespace {

constexpr size_t kMaxFiles = 256;

bool makes_pull_request(const http::Request& request) { return asks_for(request, "create_pr"); }

/// Whoever may write may write to any branch. Whoever may discuss may open a pull request, and add to those that are his.
RepoInfo writable_repo(const Call& call) {
  RepoInfo info = call.repo_for(Need::discuss);
  if (call.rights(info).write || makes_pull_request(call.request)) return info;
  std::string_view revision = call.request.captured("rev");
  if (revision.starts_with("refs/pr/")) {
    uint64_t number = 0;
    std::from_chars(revision.data() + 8, revision.data() + revision.size(), number);
    Repo repo = call.hub.store.repo(info);
    if (Discussions(repo).at(number).author == call.someone().user.name) return info;
  }
  return call.repo_for(Need::write);  // throws
}

http::Response preupload(const Call& call) {
  Repo repo = call.hub.store.repo(writable_repo(call));
  JsonValue body = call.body();
  PreuploadQuery query{.commit = repo.commit_at(call.request.captured("rev")),
      .git_ignore = body.text("gitIgnore"),
      .git_attributes = body.text("gitAttributes"),
      .inline_up_to_bytes = call.hub.inline_up_to_bytes};
  if (body.array("files").size() > kMaxFiles) refuse(413, "TooLarge", "at most 256 files at once");
  for (const JsonValue& file : body.array("files")) {
    auto sample = base64_decoded(file.text("sample").value_or(""));
    if (!sample) refuse(400, "BadRequest", "a sample is not Base64");
    query.files.push_back({file.required_text("path"), std::move(*sample), file.number("size").value_or(0)});
  }
  std::vector<PreuploadAnswer> answers = Committer(repo).preupload(query);
  return json_response([&](JsonWriter& json) {
    json.object().key("files").array();
    for (const PreuploadAnswer& answer : answers) {
      json.object().key("path").value(answer.path).key("uploadMode").value(answer.lfs ? "lfs" : "regular");
      json.key("shouldIgnore").value(answer.ignored);
      if (answer.oid) json.key("oid").value(*answer.oid);
      json.end();
    }
    json.end().key("commitOid").value(query.commit).end();
  });
}

class CommitReceiver final : public http::Receiver {
 public:
  CommitReceiver(Hub& hub, http::Request& request)
      : call_(hub, request),
        info_(writable_repo(call_)),
        body_(hub.store.spool(), hub.store.limits()) {}

  void take(Bytes block) override { body_.take(block); }

  http::Response finish() override {
    Repo repo = call_.hub.store.repo(info_);
    const std::string& revision = call_.request.captured("rev");
    Committer committer(repo);
    CommitResult made = makes_pull_request(call_.request)
                            ? committer.commit_as_pull_request(revision, body_.finish(), call_.someone())
                            : committer.commit(revision, body_.finish(), call_.someone());
    return json_response([&](JsonWriter& json) {
      std::string url = call_.web_url(info_.id);
      json.object().key("success").value(true).key("commitOid").value(made.commit);
      json.key("commitUrl").value(url + "/commit/" + made.commit).key("hookOutput").value("");
      if (made.pull_request)
        json.key("pullRequestUrl").value(url + "/discussions/" + std::to_string(*made.pull_request));
      json.end();
    });
  }

 private:
  Call call_;
  RepoInfo info_;
  CommitBody body_;
};

}  // namespace

void add_commit_routes(http::Router& router, Hub& hub) {
  const std::string repo = "/api/{type}/{ns}/{name}";
  router.add("POST", repo + "/preupload/{rev:rev}", endpoint(hub, preupload), 8 << 20);
  router.add_streaming("POST", repo + "/commit/{rev:rev}",
      [&hub](http::Request& request) { return std::make_unique<CommitReceiver>(hub, request); });
}

}  // namespace depickle::server::api
