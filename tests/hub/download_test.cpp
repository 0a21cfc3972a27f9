#include "depickle/hub/download.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>

#include <gmock/gmock.h>

#include "depickle/os/mapped_file.h"
#include "tests/hub/made_hub.h"

namespace depickle::hub {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const std::string kText = "the quick brown fox";

bool has_content(const fs::path& path, std::string_view content) {
  return text(os::MappedFile::open(path)->all()) == content;
}

// The names in blobs/.
std::vector<std::string> blobs(const fs::path& cache) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(cache / "models--me--demo/blobs", none))
    names.push_back(entry.path().filename());
  return names;
}

TEST(Download, StoresAFileInTheSharedCache) {
  Folder cache;
  const RepoFile file = small("unet/config.json", kText);
  ScriptedHub hub([&](const Seen& seen) { return serve_file(seen, kText, file.etag()); });
  const Client client(quick(hub, cache.path()));
  const fs::path path = download_file(client, kRepo, "refs/pr/1", file.path);
  const fs::path repo = cache / "models--me--demo";
  EXPECT_EQ(path, repo / "snapshots" / kCommit / "unet/config.json");
  EXPECT_EQ(content_of(path), kText);
  EXPECT_EQ(fs::read_symlink(path), "../../../blobs/" + file.etag());
  EXPECT_EQ(content_of(repo / "refs/refs/pr/1"), kCommit);
  EXPECT_THAT(content_of(cache / "CACHEDIR.TAG"), testing::StartsWith("Signature: 8a477f597d28d172789f06886806bc55\n"));
  EXPECT_TRUE(fs::exists(cache / ".locks/models--me--demo" / (file.etag() + ".lock")));
  const mode_t mask = ::umask(0);
  ::umask(mask);
  EXPECT_EQ(static_cast<mode_t>(fs::status(path).permissions()), 0666 & ~mask);
  EXPECT_EQ(blobs(cache.path()), std::vector<std::string>{file.etag()});
}

TEST(Download, SendsNoRequestForACachedCommit) {
  Folder cache;
  const RepoFile file = small("a.txt", kText);
  ScriptedHub hub([&](const Seen& seen) { return serve_file(seen, kText, file.etag()); });
  const Client client(quick(hub, cache.path()));
  download_file(client, kRepo, kCommit, "a.txt");
  const size_t before = hub.seen().size();
  download_file(client, kRepo, kCommit, "a.txt");
  EXPECT_EQ(download_files(client, kRepo, kCommit, {file}).downloaded_bytes, 0u);
  EXPECT_EQ(hub.seen().size(), before);
}

TEST(Download, DownloadsEqualContentOnce) {
  Folder cache;
  ScriptedHub hub([&](const Seen& seen) { return serve_file(seen, kText, hash_of(kText, 64)); });
  const Client client(quick(hub, cache.path()));
  download_files(client, kRepo, kCommit, {large("a", kText), large("b/c", kText)});
  download_files(client, kRepo, kOther, {large("d", kText)});
  EXPECT_EQ(hub.count("GET"), 1u);
  EXPECT_EQ(content_of(cache / "models--me--demo/snapshots" / kOther / "d"), kText);
}

TEST(Download, ResumesALostConnection) {
  for (size_t at = 0; at < kText.size(); ++at) {
    Folder cache;
    const RepoFile file = large("a", kText);
    std::atomic<int> asked = 0;
    ScriptedHub hub([&](const Seen& seen) {
      Reply whole = serve_file(seen, kText, file.etag());
      return ++asked == 1 ? cut(whole, whole.bytes.size() - kText.size() + at) : whole;
    });
    const Snapshot snapshot = download_files(Client(quick(hub, cache.path())), kRepo, kCommit, {file});
    EXPECT_EQ(content_of(snapshot.folder / "a"), kText) << at;
    EXPECT_EQ(snapshot.downloaded_bytes, kText.size()) << at;
    EXPECT_EQ(hub.seen()[1].header("range"), at == 0 ? "" : fmt::format("bytes={}-18", at));
  }
}

TEST(Download, RestartsIfTheHubDoesNotSupportRanges) {
  Folder cache;
  const RepoFile file = large("a", kText);
  std::atomic<int> asked = 0;
  ScriptedHub hub([&](const Seen& seen) {
    Reply whole = serve_file(seen, kText, file.etag(), false);
    return ++asked == 1 ? cut(whole, whole.bytes.size() - 5) : whole;
  });
  const Snapshot snapshot = download_files(Client(quick(hub, cache.path())), kRepo, kCommit, {file});
  EXPECT_EQ(content_of(snapshot.folder / "a"), kText);
}

TEST(Download, ResumesTheFileOfAnEarlierProcess) {
  Folder cache;
  const RepoFile file = large("a", kText);
  put(cache / "models--me--demo/blobs" / (file.etag() + ".depickle.incomplete"), kText.substr(0, 7));
  ScriptedHub hub([&](const Seen& seen) { return serve_file(seen, kText, file.etag()); });
  EXPECT_EQ(download_files(Client(quick(hub, cache.path())), kRepo, kCommit, {file}).downloaded_bytes, 12u);
  EXPECT_EQ(hub.seen()[0].header("range"), "bytes=7-18");
}

TEST(Download, RestartsIfTheFileOfAnEarlierProcessIsWrong) {
  for (std::string_view incomplete : {"THE QUICK", "much more than the whole file ever had"}) {
    Folder cache;
    const RepoFile file = large("a", kText);
    put(cache / "models--me--demo/blobs" / (file.etag() + ".depickle.incomplete"), incomplete);
    ScriptedHub hub([&](const Seen& seen) { return serve_file(seen, kText, file.etag()); });
    const Snapshot snapshot = download_files(Client(quick(hub, cache.path())), kRepo, kCommit, {file});
    EXPECT_EQ(content_of(snapshot.folder / "a"), kText);
  }
}

TEST(Download, DoesNotTouchFilesOfHuggingfaceHub) {
  Folder cache;
  const RepoFile file = large("a", kText);
  const fs::path theirs = cache.write("models--me--demo/blobs/" + file.etag() + ".deadbeef.incomplete", "theirs");
  ScriptedHub hub([&](const Seen& seen) { return serve_file(seen, kText, file.etag()); });
  download_files(Client(quick(hub, cache.path())), kRepo, kCommit, {file});
  EXPECT_EQ(content_of(theirs), "theirs");
}

TEST(Download, ReplacesATruncatedBlob) {
  Folder cache;
  const RepoFile file = large("a", kText);
  ScriptedHub hub([&](const Seen& seen) { return serve_file(seen, kText, file.etag()); });
  const Client client(quick(hub, cache.path()));
  download_files(client, kRepo, kCommit, {file});
  put(cache / "models--me--demo/blobs" / file.etag(), "");
  const Snapshot snapshot = download_files(client, kRepo, kCommit, {file});
  EXPECT_EQ(content_of(snapshot.folder / "a"), kText);
}

TEST(Download, RefusesContentOfAnotherHash) {
  for (const RepoFile& file : {large("a", kText), small("a", kText)}) {
    Folder cache;
    std::string wrong = kText;
    wrong[3] ^= 1;
    ScriptedHub hub([&](const Seen& seen) { return serve_file(seen, wrong, file.etag()); });
    const Error error = error_of([&] { download_files(Client(quick(hub, cache.path())), kRepo, kCommit, {file}); });
    EXPECT_EQ(error.code(), Code::integrity);
    EXPECT_THAT(error.what(), HasSubstr(hash_of(wrong, file.etag().size())));
    EXPECT_THAT(error.what(), HasSubstr("hf://me/demo@" + kCommit + "/a"));
    EXPECT_EQ(hub.count("GET"), 2u);
    EXPECT_TRUE(blobs(cache.path()).empty());
    EXPECT_FALSE(Cache(cache.path()).find(kRepo, kCommit, "a"));
  }
}

TEST(Download, RefusesABodyOfAnotherLength) {
  for (std::string body : {kText + "x", kText.substr(1), std::string()}) {
    Folder cache;
    const RepoFile file = large("a", kText);
    ScriptedHub hub([&](const Seen& seen) { return serve_file(seen, body, file.etag()); });
    EXPECT_EQ(error_of([&] { download_files(Client(quick(hub, cache.path())), kRepo, kCommit, {file}); }).code(),
        Code::integrity);
    EXPECT_TRUE(blobs(cache.path()).empty());
  }
}

TEST(Download, RefusesABodyWithoutLengthThatIsTooLong) {
  Folder cache;
  const RepoFile file = large("a", kText);
  ScriptedHub hub([&](const Seen&) {
    return Reply{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + kText + "and more", Reply::Then::close};
  });
  EXPECT_EQ(error_of([&] { download_files(Client(quick(hub, cache.path())), kRepo, kCommit, {file}); }).code(),
      Code::integrity);
}

TEST(Download, RefusesOtherBytesThanRequested) {
  Folder cache;
  const RepoFile file = large("a", kText);
  for (std::string_view range : {"bytes 0-18/19", "bytes 5-18/19", "bytes 7-18/20", "nonsense", ""}) {
    put(cache / "models--me--demo/blobs" / (file.etag() + ".depickle.incomplete"), kText.substr(0, 7));
    ScriptedHub hub(
        [&](const Seen&) { return reply(206, kText.substr(7), fmt::format("Content-Range: {}\r\n", range)); });
    EXPECT_EQ(error_of([&] { download_files(Client(quick(hub, cache.path())), kRepo, kCommit, {file}); }).code(),
        Code::integrity)
        << range;
  }
}

TEST(Download, ReportsErrorsOfTheHub) {
  for (auto [status, error_code, code] : {std::tuple{401, "", Code::denied}, {403, "GatedRepo", Code::denied},
           {404, "EntryNotFound", Code::not_found}, {416, "", Code::integrity}, {500, "", Code::network}}) {
    Folder cache;
    ScriptedHub hub([&](const Seen&) { return refusal_reply(status, error_code); });
    Settings settings = quick(hub, cache.path());
    settings.retry_policy.max_retries = 1;
    EXPECT_EQ(error_of([&] { download_files(Client(settings), kRepo, kCommit, {large("a", kText)}); }).code(), code);
    EXPECT_TRUE(blobs(cache.path()).empty());
  }
}

TEST(Download, RefusesHostileNames) {
  Folder cache;
  ScriptedHub hub([](const Seen&) { return reply(200); });
  for (std::string path : {std::string("../x"), std::string("/x"), std::string(10'000, 'x'), std::string("a/../../x")})
    EXPECT_EQ(error_of([&] {
      download_files(Client(quick(hub, cache.path())), kRepo, kCommit, {large(path, kText)});
    }).code(),
        Code::unsafe);
  EXPECT_TRUE(hub.seen().empty());
}

TEST(Download, RefusesAPathThatIsAFileAndAFolder) {
  Folder cache;
  ScriptedHub hub([&](const Seen& seen) { return serve_file(seen, kText, hash_of(kText, 64)); });
  Settings settings = quick(hub, cache.path());
  settings.connections = 1;
  EXPECT_EQ(error_of([&] {
    download_files(Client(settings), kRepo, kCommit, {large("a", kText), large("a/b", kText)});
  }).code(),
      Code::io);
}

TEST(Download, ChecksTheFreeSpaceFirst) {
  Folder cache;
  ScriptedHub hub([](const Seen&) { return reply(200); });
  RepoFile file = large("a", kText);
  file.size_bytes = uint64_t{1} << 60;
  EXPECT_THAT(refusal([&] { download_files(Client(quick(hub, cache.path())), kRepo, kCommit, {file}); }),
      HasSubstr("not enough space"));
  EXPECT_TRUE(hub.seen().empty());
}

TEST(Download, ReportsAFullDisk) {
  Folder cache;
  const std::string content = some_bytes(100'000);
  const RepoFile file = large("a", content);
  ScriptedHub hub([&](const Seen& seen) { return serve_file(seen, content, file.etag()); });
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{50'000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &tight);
  const Error error = error_of([&] { download_files(Client(quick(hub, cache.path())), kRepo, kCommit, {file}); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(error.code(), Code::io);
  EXPECT_FALSE(Cache(cache.path()).find(kRepo, kCommit, "a"));
  // Resumes when there is space again.
  EXPECT_EQ(download_files(Client(quick(hub, cache.path())), kRepo, kCommit, {file}).downloaded_bytes, 50'000u);
}

TEST(Download, DownloadsALargeFileInSeveralRanges) {
  Folder cache;
  const std::string content = some_bytes(65 << 20);
  const RepoFile file = large("a", content);
  std::atomic<int> asked = 0;
  ScriptedHub hub([&](const Seen& seen) {
    Reply whole = serve_file(seen, content, file.etag());
    return ++asked % 3 == 0 ? cut(whole, whole.bytes.size() / 2) : whole;
  });
  uint64_t last = 0;
  bool is_in_order = true;
  const Snapshot snapshot =
      download_files(Client(quick(hub, cache.path())), kRepo, kCommit, {file}, [&](const Step& step) {
        is_in_order = is_in_order && step.done_bytes >= last;
        last = step.done_bytes;
      });
  EXPECT_TRUE(is_in_order);
  EXPECT_EQ(last, content.size());
  EXPECT_EQ(snapshot.downloaded_bytes, content.size());
  EXPECT_TRUE(has_content(snapshot.folder / "a", content));
  EXPECT_GE(asked, 9);
}

TEST(Download, DownloadsALargeFileFromAHubWithoutRanges) {
  Folder cache;
  const std::string content = some_bytes(65 << 20);
  const RepoFile file = large("a", content);
  ScriptedHub hub([&](const Seen& seen) { return serve_file(seen, content, file.etag(), false); });
  Settings settings = quick(hub, cache.path());
  settings.connections = 2;
  const Snapshot snapshot = download_files(Client(settings), kRepo, kCommit, {file});
  EXPECT_TRUE(has_content(snapshot.folder / "a", content));
}

TEST(Download, ResumesAfterCancellation) {
  Folder cache;
  const std::string content = some_bytes(80 << 20);
  const RepoFile file = large("a", content);
  ScriptedHub hub([&](const Seen& seen) { return serve_file(seen, content, file.etag()); });
  const Client client(quick(hub, cache.path()));
  const Error error = error_of([&] {
    download_files(client, kRepo, kCommit, {file}, [](const Step& step) {
      if (step.done_bytes > 20 << 20) throw Error(Code::cancelled, "", "stopped");
    });
  });
  EXPECT_EQ(error.code(), Code::cancelled);
  EXPECT_FALSE(Cache(cache.path()).find(kRepo, kCommit, "a"));
  const Snapshot snapshot = download_files(client, kRepo, kCommit, {file});
  EXPECT_LT(snapshot.downloaded_bytes, content.size() - (10 << 20));
  EXPECT_TRUE(has_content(snapshot.folder / "a", content));
}

TEST(Download, RecordsThatAFileDoesNotExist) {
  Folder cache;
  ScriptedHub hub([](const Seen&) {
    return head_reply(404, 0, fmt::format("X-Error-Code: EntryNotFound\r\nX-Repo-Commit: {}\r\n", kCommit));
  });
  EXPECT_EQ(
      error_of([&] { download_file(Client(quick(hub, cache.path())), kRepo, "main", "x/y"); }).code(), Code::not_found);
  EXPECT_TRUE(Cache(cache.path()).is_known_absent(kRepo, kCommit, "x/y"));
  EXPECT_EQ(content_of(cache / "models--me--demo/refs/main"), kCommit);
}

TEST(Download, UsesTheCacheIfTheHubIsUnavailable) {
  Folder cache;
  const RepoFile file = small("a", kText);
  std::atomic<bool> is_unavailable = false;
  ScriptedHub hub([&](const Seen& seen) { return is_unavailable ? reply(503) : serve_file(seen, kText, file.etag()); });
  Settings settings = quick(hub, cache.path());
  const fs::path path = download_file(Client(settings), kRepo, "main", "a");
  is_unavailable = true;
  EXPECT_EQ(download_file(Client(settings), kRepo, "main", "a"), path);
  EXPECT_EQ(resolve_commit(Client(settings), kRepo, "main"), kCommit);
  settings.offline = true;
  EXPECT_EQ(download_file(Client(settings), kRepo, "", "a"), path);
  EXPECT_EQ(error_of([&] { download_file(Client(settings), kRepo, "main", "b"); }).code(), Code::network);
}

TEST(Download, UsesTheMetadataOfTheRedirectToAStore) {
  Folder cache;
  const RepoFile file = large("a", kText);
  ScriptedHub store([&](const Seen& seen) { return serve_file(seen, kText, "some-etag-of-the-store"); });
  ScriptedHub hub([&](const Seen&) {
    return reply(302, "",
        fmt::format("X-Repo-Commit: {}\r\nX-Linked-Etag: \"{}\"\r\nX-Linked-Size: 19\r\nETag: \"pointer\"\r\nLocation: "
                    "{}/x?sig=1\r\n",
            kCommit, file.sha256, store.url()));
  });
  Settings settings = quick(hub, cache.path());
  settings.token = "hf_secret";
  EXPECT_EQ(content_of(download_file(Client(settings), kRepo, "main", "a")), kText);
  EXPECT_EQ(store.count("HEAD"), 0u);
  EXPECT_EQ(store.seen()[0].header("authorization"), "");
}

TEST(Download, IsDoneByOneOfTwoProcesses) {
  Folder cache;
  const std::string content = some_bytes(1 << 20);
  const RepoFile file = large("a", content);
  ScriptedHub hub([&](const Seen& seen) {
    Reply whole = serve_file(seen, content, file.etag());
    whole.delay = std::chrono::milliseconds(100);
    return whole;
  });
  const Settings settings = quick(hub, cache.path());
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      download_files(Client(settings), kRepo, kCommit, {file});
      ::_exit(0);
    } catch (...) {
      ::_exit(1);
    }
  }
  download_files(Client(settings), kRepo, kCommit, {file});
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(hub.count("GET"), 1u);
  EXPECT_TRUE(has_content(cache / "models--me--demo/snapshots" / kCommit / "a", content));
}

}  // namespace
}  // namespace depickle::hub
