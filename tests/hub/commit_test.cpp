#include "depickle/hub/commit.h"

#include <set>

#include <gmock/gmock.h>

#include "tests/hub/made_hub.h"

namespace depickle::hub {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kWeights = some_bytes(3000);

// A Hub that accepts a commit. `on` may return another reply for some requests.
class CommitHub {
 public:
  using On = std::function<std::optional<Reply>(const Seen&, const std::string& url)>;
  explicit CommitHub(On on = {}) : hub([this, on = std::move(on)](const Seen& seen) { return answer(seen, on); }) {}

  std::string body_of(std::string_view part) const {
    for (const Seen& seen : hub.seen()) {
      if (seen.target.find(part) != seen.target.npos) return seen.body;
    }
    return {};
  }
  size_t count(std::string_view part) const {
    const auto all = hub.seen();
    return static_cast<size_t>(
        std::ranges::count_if(all, [&](const Seen& seen) { return seen.target.find(part) != seen.target.npos; }));
  }

  bool in_parts = false;
  ScriptedHub hub;

 private:
  Reply answer(const Seen& seen, const On& on) {
    if (on) {
      if (auto other = on(seen, hub.url())) return *other;
    }
    const std::string& target = seen.target;
    if (target.find("/preupload/") != target.npos)
      return reply(200, R"({"files":[{"path":"w.bin","uploadMode":"lfs","shouldIgnore":false},
        {"path":"a.json","uploadMode":"regular","shouldIgnore":false,"oid":"0000"}]})");
    if (target.ends_with("/batch")) {
      const std::string oid = hash_of(kWeights, 64);
      const std::string header =
          in_parts
              ? fmt::format(R"({{"chunk_size":"1000","00001":"{0}/part/1","00002":"{0}/part/2","00003":"{0}/part/3"}})",
                    hub.url())
              : R"({"X-Required":"yes"})";
      return reply(200, fmt::format(R"({{"objects":[{{"oid":"{0}","size":3000,"actions":{{
        "upload":{{"href":"{1}/put","header":{2}}},"verify":{{"href":"{1}/verify"}}}}}}]}})",
                            oid, hub.url(), header));
    }
    if (target.starts_with("/part/")) return reply(200, "", fmt::format("ETag: \"e{}\"\r\n", target.back()));
    if (target.find("/commit/") != target.npos)
      return reply(
          200, fmt::format(R"({{"success":true,"commitOid":"{}","pullRequestUrl":"x/discussions/7"}})", kCommit));
    return reply(200, "{}");
  }
};

CommitRequest request_of(const Folder& folder) {
  CommitRequest request;
  request.title = "Adding \"weights\"";
  request.description = "two\nlines";
  request.additions = {{"w.bin", folder.write("w", kWeights)}, {"a.json", std::string("{}")}};
  request.deletions = {{"old.bin"}};
  request.parent_commit = kOther;
  request.create_pull_request = true;
  return request;
}

Settings writer(const ScriptedHub& hub) {
  Settings settings = quick(hub);
  settings.token = "hf_secret";
  return settings;
}

TEST(Commit, UploadsLargeFilesAndSendsTheOthersInline) {
  Folder folder;
  CommitHub commit_hub;
  const CommitResult result = commit(Client(writer(commit_hub.hub)), kRepo, "main", request_of(folder));
  EXPECT_EQ(result.commit, kCommit);
  EXPECT_EQ(result.pull_request, 7u);
  EXPECT_EQ(result.url, commit_hub.hub.url() + "/me/demo/discussions/7");
  EXPECT_EQ(commit_hub.body_of("/put"), kWeights);
  EXPECT_EQ(commit_hub.body_of("/verify"), fmt::format(R"({{"oid":"{}","size":3000}})", hash_of(kWeights, 64)));
  const std::string body = commit_hub.body_of("/commit/main?create_pr=1");
  EXPECT_THAT(
      body, HasSubstr(R"("summary":"Adding \"weights\"","description":"two\nlines","parentCommit":")" + kOther));
  EXPECT_THAT(
      body, HasSubstr(fmt::format(R"("path":"w.bin","algo":"sha256","oid":"{}","size":3000)", hash_of(kWeights, 64))));
  EXPECT_THAT(body, HasSubstr(R"("path":"a.json","encoding":"base64","content":"e30=")"));
  EXPECT_THAT(body, HasSubstr(R"({"key":"deletedFile","value":{"path":"old.bin"}})"));
  EXPECT_EQ(std::ranges::count(body, '\n'), 4);
}

TEST(Commit, DoesNotSendTheTokenToTheStore) {
  Folder folder;
  CommitHub commit_hub;
  commit(Client(writer(commit_hub.hub)), kRepo, "main", request_of(folder));
  for (const Seen& seen : commit_hub.hub.seen())
    EXPECT_EQ(seen.header("authorization"), seen.target == "/put" ? "" : "Bearer hf_secret") << seen.target;
  EXPECT_EQ(commit_hub.count("/put"), 1u);
  for (const Seen& seen : commit_hub.hub.seen()) {
    EXPECT_EQ(seen.header("x-required"), seen.target == "/put" ? "yes" : "");
  }
}

TEST(Commit, SendsTheBranchOnlyIfItWritesToIt) {
  Folder folder;
  CommitHub pull_request, branch;
  CommitRequest request = request_of(folder);
  commit(Client(writer(pull_request.hub)), kRepo, "main", request);
  EXPECT_THAT(pull_request.body_of("/batch"), Not(HasSubstr("\"ref\"")));
  request.create_pull_request = false;
  const CommitResult result = commit(Client(writer(branch.hub)), kRepo, "feat/x", request);
  EXPECT_THAT(branch.body_of("/batch"), HasSubstr(R"("ref":{"name":"feat/x"})"));
  EXPECT_EQ(result.url, branch.hub.url() + "/me/demo/commit/" + kCommit);
  EXPECT_EQ(branch.count("/commit/feat%2Fx"), 1u);
}

TEST(Commit, RetriesOnlyTheFailedPart) {
  Folder folder;
  std::atomic<int> second = 0;
  CommitHub commit_hub([&](const Seen& seen, const std::string&) -> std::optional<Reply> {
    if (seen.target == "/part/2" && ++second == 1) return reply(503);
    return {};
  });
  commit_hub.in_parts = true;
  commit(Client(writer(commit_hub.hub)), kRepo, "main", request_of(folder));
  EXPECT_EQ(commit_hub.count("/part/1"), 1u);
  EXPECT_EQ(commit_hub.count("/part/2"), 2u);
  EXPECT_EQ(commit_hub.body_of("/part/3"), kWeights.substr(2000));
  EXPECT_EQ(commit_hub.body_of("/put"),
      fmt::format(R"({{"oid":"{}","parts":[{{"partNumber":1,"etag":"\"e1\""}},)"
                  R"({{"partNumber":2,"etag":"\"e2\""}},{{"partNumber":3,"etag":"\"e3\""}}]}})",
          hash_of(kWeights, 64)));
}

TEST(Commit, RefusesPartsThatDoNotMatchTheSize) {
  for (std::string_view header : {R"({"chunk_size":"1000","1":"/a","2":"/b"})", R"({"chunk_size":"0","1":"/a"})",
           R"({"chunk_size":"1000","1":"/a","2":"/b","4":"/c"})", R"({"chunk_size":"x","1":"/a"})",
           R"({"chunk_size":"3000","1":"file:///x"})"}) {
    Folder folder;
    CommitHub commit_hub([&](const Seen& seen, const std::string& url) -> std::optional<Reply> {
      if (!seen.target.ends_with("/batch")) return {};
      return reply(200,
          fmt::format(
              R"({{"objects":[{{"oid":"{}","size":3000,"actions":{{"upload":{{"href":"{}/put","header":{}}}}}}}]}})",
              hash_of(kWeights, 64), url, header));
    });
    EXPECT_EQ(error_of([&] { commit(Client(writer(commit_hub.hub)), kRepo, "main", request_of(folder)); }).code(),
        Code::malformed)
        << header;
  }
}

TEST(Commit, DoesNotUploadObjectsThatTheStoreHas) {
  Folder folder;
  CommitHub commit_hub([](const Seen& seen, const std::string&) -> std::optional<Reply> {
    if (!seen.target.ends_with("/batch")) return {};
    return reply(200, fmt::format(R"({{"objects":[{{"oid":"{}","size":3000}}]}})", hash_of(kWeights, 64)));
  });
  commit(Client(writer(commit_hub.hub)), kRepo, "main", request_of(folder));
  EXPECT_EQ(commit_hub.hub.count("PUT"), 0u);
  EXPECT_EQ(commit_hub.count("/commit/"), 1u);
}

TEST(Commit, IsSkippedIfNothingChanges) {
  Folder folder;
  CommitHub commit_hub([](const Seen& seen, const std::string&) -> std::optional<Reply> {
    if (seen.target.find("/revision/") != std::string::npos)
      return reply(200, fmt::format(R"({{"id":"me/demo","sha":"{}"}})", kOther));
    if (seen.target.find("/preupload/") == std::string::npos) return {};
    return reply(200, fmt::format(R"({{"files":[{{"path":"w.bin","uploadMode":"lfs","shouldIgnore":false,"oid":"{}"}},
      {{"path":"a.json","uploadMode":"regular","shouldIgnore":false,"oid":"{}"}}]}})",
                          hash_of(kWeights, 64), hash_of("{}", 40)));
  });
  CommitRequest request = request_of(folder);
  request.deletions.clear();
  const CommitResult result = commit(Client(writer(commit_hub.hub)), kRepo, "main", request);
  EXPECT_TRUE(result.is_unchanged);
  EXPECT_EQ(result.commit, kOther);
  EXPECT_EQ(commit_hub.count("/commit/"), 0u);
}

TEST(Commit, IsNotRetriedIfItMayHaveSucceeded) {
  Folder folder;
  CommitHub commit_hub([](const Seen& seen, const std::string&) -> std::optional<Reply> {
    if (seen.target.find("/commit/") != std::string::npos) return Reply{"", Reply::Then::close};
    return {};
  });
  const Error error = error_of([&] { commit(Client(writer(commit_hub.hub)), kRepo, "main", request_of(folder)); });
  EXPECT_EQ(error.code(), Code::network);
  EXPECT_THAT(error.hint(), HasSubstr("may have executed"));
  EXPECT_EQ(commit_hub.count("/commit/"), 1u);
}

TEST(Commit, ReportsErrorsOfTheHub) {
  struct Case {
    int status;
    Code code;
  };
  for (std::string_view step : {"/preupload/", "/batch", "/put", "/verify", "/commit/"}) {
    for (const Case& one :
        {Case{401, Code::denied}, Case{403, Code::denied}, Case{404, Code::not_found}, Case{409, Code::network},
            Case{412, Code::network}, Case{413, Code::limit}, Case{429, Code::network}, Case{500, Code::network}}) {
      Folder folder;
      CommitHub commit_hub([&](const Seen& seen, const std::string&) -> std::optional<Reply> {
        if (seen.target.find(step) == seen.target.npos) return {};
        return refusal_reply(one.status, "");
      });
      Settings settings = writer(commit_hub.hub);
      settings.retry_policy.max_retries = 1;
      const Error error = error_of([&] { commit(Client(settings), kRepo, "main", request_of(folder)); });
      EXPECT_EQ(error.code(), one.code) << step << one.status;
      EXPECT_TRUE(step == "/commit/" || commit_hub.count("/commit/") == 0) << step;
    }
  }
}

TEST(Commit, ReportsTheErrorOfOneObject) {
  Folder folder;
  CommitHub commit_hub([](const Seen& seen, const std::string&) -> std::optional<Reply> {
    if (!seen.target.ends_with("/batch")) return {};
    return reply(
        200, fmt::format(R"({{"objects":[{{"oid":"{}","size":3000,"error":{{"code":413,"message":"over quota"}}}}]}})",
                 hash_of(kWeights, 64)));
  });
  const Error error = error_of([&] { commit(Client(writer(commit_hub.hub)), kRepo, "main", request_of(folder)); });
  EXPECT_EQ(error.code(), Code::limit);
  EXPECT_THAT(error.what(), HasSubstr("over quota"));
  EXPECT_THAT(error.what(), HasSubstr("w.bin"));
}

TEST(Commit, RefusesHostileResponses) {
  for (std::string_view body :
      {"", "[]", "{}", R"({"files":[]})", R"({"files":[{"path":"w.bin","uploadMode":"lfs"}]})"}) {
    Folder folder;
    CommitHub commit_hub([&](const Seen& seen, const std::string&) -> std::optional<Reply> {
      if (seen.target.find("/preupload/") == std::string::npos) return {};
      return reply(200, body);
    });
    EXPECT_EQ(error_of([&] { commit(Client(writer(commit_hub.hub)), kRepo, "main", request_of(folder)); }).code(),
        Code::malformed);
  }
  Folder folder;
  CommitHub header([](const Seen& seen, const std::string& url) -> std::optional<Reply> {
    if (!seen.target.ends_with("/batch")) return {};
    return reply(200, fmt::format(R"({{"objects":[{{"oid":"{}","size":3000,"actions":{{"upload":{{"href":"{}/put",
      "header":{{"X-A":"b\r\nAuthorization: evil"}}}}}}}}]}})",
                          hash_of(kWeights, 64), url));
  });
  EXPECT_THAT(refusal([&] { commit(Client(writer(header.hub)), kRepo, "main", request_of(folder)); }),
      HasSubstr("control characters"));
}

TEST(Commit, RefusesHostilePathsAndMissingFiles) {
  CommitHub commit_hub;
  CommitRequest request;
  request.additions = {{"../x", std::string("y")}};
  EXPECT_EQ(error_of([&] { commit(Client(writer(commit_hub.hub)), kRepo, "main", request); }).code(), Code::unsafe);
  request.additions = {{"x", std::filesystem::path("/does/not/exist")}};
  EXPECT_EQ(error_of([&] { commit(Client(writer(commit_hub.hub)), kRepo, "main", request); }).code(), Code::not_found);
  EXPECT_TRUE(commit_hub.hub.seen().empty());
}

}  // namespace
}  // namespace depickle::hub
