#include "depickle/hub/client.h"

#include <gmock/gmock.h>

#include "depickle/hub/cache.h"
#include "depickle/hub/discussions.h"
#include "depickle/hub/download.h"
#include "tests/hub/made_hub.h"

namespace depickle::hub {
namespace {

using testing::HasSubstr;

std::string entry(std::string_view path) {
  return fmt::format(R"({{"type":"file","path":"{}","size":5,"oid":"{}"}})", path, kCommit);
}

TEST(Client, ReadsAllPagesOfATree) {
  ScriptedHub* self = nullptr;
  ScriptedHub hub([&](const Seen& seen) {
    if (seen.target.find("cursor") != seen.target.npos)
      return reply(200,
          fmt::format(R"([{{"type":"directory","path":"d","oid":"x"}},{{"type":"file","path":"d/b","size":9,"oid":"{}",
        "lfs":{{"oid":"{}","size":7,"pointerSize":130}}}}])",
              kOther, std::string(64, 'a')));
    return reply(
        200, "[" + entry("a") + "]", fmt::format("Link: <{}{}&cursor=2>; rel=\"next\"\r\n", self->url(), seen.target));
  });
  self = &hub;
  const std::vector<RepoFile> files = Client(quick(hub)).files(kRepo, "refs/pr/1");
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].etag(), kCommit);
  EXPECT_EQ(files[1].path, "d/b");
  EXPECT_EQ(files[1].size_bytes, 7u);
  EXPECT_EQ(files[1].etag(), std::string(64, 'a'));
  EXPECT_EQ(hub.seen()[0].target, "/api/models/me/demo/tree/refs%2Fpr%2F1?recursive=true&expand=false");
}

TEST(Client, RefusesPagesThatDoNotEnd) {
  ScriptedHub hub(
      [](const Seen& seen) { return reply(200, "[]", fmt::format("Link: <{}>; rel=\"next\"\r\n", seen.target)); });
  EXPECT_THAT(refusal([&] { Client(quick(hub)).files(kRepo, "main"); }), HasSubstr("do not end"));
}

TEST(Client, RefusesHostileNamesInATreeAndInSiblings) {
  for (std::string path : {std::string("../../x"), std::string("/x"), std::string(10'000, 'x'),
           std::string("a\\u0000b"), std::string("a/./b")}) {
    ScriptedHub hub([&](const Seen& seen) {
      if (seen.target.find("/tree/") != seen.target.npos) return reply(200, "[" + entry(path) + "]");
      return reply(
          200, fmt::format(R"({{"id":"me/demo","sha":"{}","siblings":[{{"rfilename":"{}"}}]}})", kCommit, path));
    });
    EXPECT_EQ(error_of([&] { Client(quick(hub)).files(kRepo, "main"); }).code(), Code::unsafe);
    EXPECT_EQ(error_of([&] { Client(quick(hub)).info(kRepo); }).code(), Code::unsafe);
  }
}

TEST(Client, RefusesAnInvalidTree) {
  for (std::string_view body :
      {"{}", R"([{"type":"file","path":"a","size":1}])", R"([{"type":"file","path":"a","oid":"../x"}])",
          R"([{"type":"file","path":"a","oid":"0123456789012345678901234567890123456789","lfs":{"oid":"x"}}])"}) {
    ScriptedHub hub([&](const Seen&) { return reply(200, body); });
    EXPECT_EQ(error_of([&] { Client(quick(hub)).files(kRepo, "main"); }).code(), Code::malformed) << body;
  }
}

TEST(Client, ReadsRefsCommitsPathsAndTheUser) {
  ScriptedHub hub([](const Seen& seen) {
    if (seen.target.find("/refs") != seen.target.npos)
      return reply(
          200, fmt::format(R"({{"branches":[{{"name":"main","ref":"refs/heads/main","targetCommit":"{0}"}}],"tags":[],
        "converts":[],"pullRequests":[{{"name":"pr/1","ref":"refs/pr/1","targetCommit":"{1}"}}]}})",
                   kCommit, kOther));
    if (seen.target.find("/commits/") != seen.target.npos)
      return reply(200, fmt::format(R"([{{"id":"{0}","title":"t","message":"m","authors":[{{"user":"me"}}],"date":"d"}},
        {{"id":"{1}","title":"","message":"","authors":[],"date":""}}])",
                            kCommit, kOther));
    if (seen.method == "POST") return reply(200, "[" + entry("a b") + "]");
    return reply(200, R"({"name":"me","orgs":[{"name":"us"}],"auth":{"accessToken":{"role":"write"}}})");
  });
  Settings settings = quick(hub);
  settings.token = "hf_secret";
  const Client client(settings);
  const Refs refs = client.refs(kRepo, true);
  EXPECT_EQ(refs.branches[0].commit, kCommit);
  EXPECT_EQ(refs.pull_requests[0].name, "refs/pr/1");
  EXPECT_EQ(client.commits(kRepo, "main", 1).size(), 1u);
  EXPECT_EQ(client.commits(kRepo, "main")[0].authors, std::vector<std::string>{"me"});
  EXPECT_EQ(client.files_of(kRepo, "main", {"a b", "c"})[0].path, "a b");
  EXPECT_EQ(hub.seen().back().body, "expand=false&paths=a%20b&paths=c");
  EXPECT_EQ(client.whoami().organizations, std::vector<std::string>{"us"});
  settings.token.clear();
  EXPECT_EQ(error_of([&] { Client(settings).whoami(); }).code(), Code::denied);
}

TEST(Cache, StoresTheFilesOfACommit) {
  Folder folder;
  ScriptedHub hub([](const Seen&) { return reply(200, "[" + entry("b") + "," + entry("a") + "]"); });
  const Client client(quick(hub, folder.path()));
  EXPECT_EQ(list_commit(client, kRepo, kCommit).size(), 2u);
  const std::vector<RepoFile> files = list_commit(client, kRepo, kCommit);
  EXPECT_EQ(files[0].path, "a");
  EXPECT_EQ(files[0].etag(), kCommit);
  EXPECT_EQ(hub.seen().size(), 1u);
  for (std::string_view bad :
      {"", "{", R"({"format_version":2,"files":{}})",
          R"({"format_version":1,"files":{"../x":{"size":1,"blob_id":"0123456789abcdef0123456789abcdef01234567"}}})"}) {
    put(folder / "models--me--demo/trees" / (kCommit + ".json"), bad);
    EXPECT_FALSE(Cache(folder.path()).find_files(kRepo, kCommit)) << bad;
  }
}

TEST(Cache, FollowsLinksIntoTheSharedStore) {
  Folder folder;
  const Cache cache(folder.path());
  const std::string etag(64, 'a');
  folder.write("blobs/ab/abcd", "shared");
  cache.prepare(kRepo);
  std::filesystem::create_symlink("../../blobs/ab/abcd", cache.blob_path(kRepo, etag));
  EXPECT_TRUE(cache.find_blob(kRepo, {"x", 6, {}, etag}));
  EXPECT_FALSE(cache.find_blob(kRepo, {"x", 7, {}, etag}));
  EXPECT_EQ(content_of(cache.link(kRepo, kCommit, "x/y", etag)), "shared");
  EXPECT_TRUE(cache.find(kRepo, kCommit, "x/y"));
  std::filesystem::remove(folder / "blobs/ab/abcd");
  EXPECT_FALSE(cache.find(kRepo, kCommit, "x/y"));
}

TEST(Cache, IgnoresInvalidRefs) {
  Folder folder;
  const Cache cache(folder.path());
  for (std::string_view bad : {"", "main", "0123456789abcdef0123456789abcdef01234567\n"}) {
    folder.write("models--me--demo/refs/main", bad);
    EXPECT_FALSE(cache.find_commit(kRepo, "main"));
  }
  cache.write_ref(kRepo, "main", kCommit);
  EXPECT_EQ(cache.find_commit(kRepo, "main"), kCommit);
  EXPECT_TRUE(std::filesystem::is_directory(cache.snapshot_folder(kRepo, kCommit)));
}

std::string described(uint64_t number, std::string_view status) {
  return fmt::format(
      R"("num":{},"title":"t{}","status":"{}","isPullRequest":true,"createdAt":"d","author":{{"name":"me"}})", number,
      number, status);
}

TEST(Discussions, ListsAllPages) {
  ScriptedHub hub([](const Seen& seen) {
    const bool is_first = seen.target.ends_with("p=0");
    return reply(200, fmt::format(R"({{"discussions":[{{{}}}],"count":2,"start":0}})",
                          described(is_first ? 2 : 1, is_first ? "open" : "merged")));
  });
  const auto list = list_discussions(
      Client(quick(hub)), kRepo, {DiscussionFilter::Kind::pull_request, DiscussionFilter::State::open, "me"});
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].revision(), "refs/pr/2");
  EXPECT_EQ(list[1].status, DiscussionStatus::merged);
  EXPECT_EQ(hub.seen()[0].target, "/api/models/me/demo/discussions?type=pull_request&status=open&author=me&p=0");
}

TEST(Discussions, ReadsEvents) {
  ScriptedHub hub([](const Seen&) {
    return reply(200,
        fmt::format(
            R"({{{},"changes":{{"base":"refs/heads/main","mergeCommitId":"m"}},"filesWithConflicts":["a"],"diff":"d",
      "events":[{{"id":"1","type":"comment","author":{{"name":"me"}},"data":{{"latest":{{"raw":"hello"}}}}}},
      {{"id":"2","type":"commit","data":{{"subject":"s","oid":"o"}}}},{{"id":"3","type":"new-kind","data":null}}]}})",
            described(3, "open")));
  });
  const DiscussionDetails details = discussion(Client(quick(hub)), kRepo, 3);
  EXPECT_EQ(details.events.size(), 3u);
  EXPECT_EQ(details.events[0].text, "hello");
  EXPECT_EQ(details.events[1].commit, "o");
  EXPECT_TRUE(details.has_conflicts);
  EXPECT_EQ(details.target, "refs/heads/main");
  EXPECT_EQ(error_of([&] { discussion(Client(quick(hub)), kRepo, 4); }).code(), Code::malformed);
}

TEST(Discussions, SendsWritesOnce) {
  ScriptedHub hub([](const Seen&) { return reply(500); });
  const Client client(quick(hub));
  EXPECT_EQ(error_of([&] { merge_pull_request(client, kRepo, 1, {}); }).code(), Code::network);
  EXPECT_EQ(hub.seen().size(), 1u);
  ScriptedHub good([](const Seen&) { return reply(200, R"({"num":5})"); });
  const Client writer(quick(good));
  EXPECT_EQ(open_discussion(writer, kRepo, "a \"b\"", "c"), 5u);
  comment(writer, kRepo, 5, "hi");
  change_status(writer, kRepo, 5, DiscussionStatus::closed, "why");
  merge_pull_request(writer, kRepo, 5, "c0ffee");
  EXPECT_EQ(good.seen()[0].body, R"({"title":"a \"b\"","description":"c","pullRequest":false})");
  EXPECT_EQ(good.seen()[1].body, R"({"comment":"hi"})");
  EXPECT_EQ(good.seen()[2].body, R"({"status":"closed","comment":"why"})");
  EXPECT_EQ(good.seen()[3].target, "/api/models/me/demo/discussions/5/merge");
  EXPECT_EQ(good.seen()[3].body, R"({"headCommit":"c0ffee"})");
}

}  // namespace
}  // namespace depickle::hub
