#include "depickle/hub/remote_source.h"

#include <gmock/gmock.h>

#include "depickle/base/parallel.h"
#include "tests/hub/made_hub.h"

namespace depickle::hub {
namespace {

using testing::HasSubstr;

const std::string kContent = some_bytes(20 << 20);
const std::string kSha256 = hash_of(kContent, 64);

std::string read(const ByteSource& source, uint64_t offset, uint64_t length) {
  std::string out(length, '\0');
  source.read(offset, std::as_writable_bytes(std::span(out)));
  return out;
}

TEST(RemoteSource, OpensWithOneRequestForTheEnd) {
  ScriptedHub hub([](const Seen& seen) { return serve_file(seen, kContent, kSha256); });
  const auto source = RemoteSource::open(Client(quick(hub)), kRepo, "main", "w.bin");
  EXPECT_EQ(source->size_bytes(), kContent.size());
  EXPECT_EQ(source->commit(), kCommit);
  EXPECT_EQ(source->file().sha256, kSha256);
  EXPECT_EQ(source->name(), "hf://me/demo@main/w.bin");
  EXPECT_EQ(text(source->view(kContent.size() - 100'000, 100'000)), kContent.substr(kContent.size() - 100'000));
  EXPECT_EQ(hub.seen().size(), 1u);
  EXPECT_EQ(text(source->view(0, 1024)), kContent.substr(0, 1024));
  EXPECT_EQ(text(source->view(500, 5000)), kContent.substr(500, 5000));
  EXPECT_EQ(hub.seen().size(), 2u);
  EXPECT_EQ(hub.seen()[1].target, "/me/demo/resolve/" + kCommit + "/w.bin");
  EXPECT_LT(source->traffic().transferred_bytes, 400'000u);
  EXPECT_EQ(source->traffic().requests, 2u);
}

TEST(RemoteSource, ReadsAheadSequentially) {
  ScriptedHub hub([](const Seen& seen) { return serve_file(seen, kContent, kSha256); });
  const auto source = RemoteSource::open(Client(quick(hub)), kRepo, "main", "w.bin");
  for (uint64_t at = 0; at < kContent.size(); at += 100'000) {
    const uint64_t length = std::min<uint64_t>(100'000, kContent.size() - at);
    ASSERT_EQ(read(*source, at, length), kContent.substr(at, length)) << at;
  }
  EXPECT_LT(hub.seen().size(), 14u);
  EXPECT_LE(source->traffic().transferred_bytes, kContent.size() + (256 << 10));
}

TEST(RemoteSource, IsReadFromSeveralThreads) {
  ScriptedHub hub([](const Seen& seen) { return serve_file(seen, kContent, kSha256); });
  const auto source = RemoteSource::open(Client(quick(hub)), kRepo, "main", "w.bin");
  parallel_for(200, 4, [&](uint64_t i) {
    const uint64_t at = i * 7'919'777 % (kContent.size() - 150'000), length = 1 + i * 701;
    if (read(*source, at, length) != kContent.substr(at, length)) throw Error(Code::io, "", "other bytes");
  });
}

TEST(RemoteSource, ResumesALostConnection) {
  std::atomic<int> asked = 0;
  ScriptedHub hub([&](const Seen& seen) {
    Reply whole = serve_file(seen, kContent, kSha256);
    return ++asked % 2 == 1 ? cut(whole, whole.bytes.size() / 2) : whole;
  });
  const auto source = RemoteSource::open(Client(quick(hub)), kRepo, "main", "w.bin");
  EXPECT_EQ(read(*source, 1000, 3 << 20), kContent.substr(1000, 3 << 20));
}

TEST(RemoteSource, DetectsAChangedFile) {
  std::string content = kContent.substr(0, 2 << 20), etag = hash_of(content, 64);
  ScriptedHub hub([&](const Seen& seen) { return serve_file(seen, content, etag); });
  const auto source = RemoteSource::open(Client(quick(hub)), kRepo, "main", "w.bin");
  read(*source, 0, 10);
  etag = std::string(64, 'b');
  EXPECT_THAT(refusal([&] { read(*source, 1 << 20, 10); }), HasSubstr("changed on the Hub"));
  content += "x";
  EXPECT_EQ(error_of([&] { read(*source, 1 << 20, 10); }).code(), Code::integrity);
}

TEST(RemoteSource, ReadsSmallAndEmptyFiles) {
  for (size_t size : {0u, 1u, 1000u, 262144u, 262145u}) {
    const std::string content = kContent.substr(0, size);
    ScriptedHub hub([&](const Seen& seen) { return serve_file(seen, content, hash_of(content, 40)); });
    const auto source = RemoteSource::open(Client(quick(hub)), kRepo, "main", "w.bin");
    EXPECT_EQ(source->size_bytes(), size);
    EXPECT_EQ(text(source->all()), content);
    EXPECT_EQ(error_of([&] { source->view(size, 1); }).code(), Code::truncated);
  }
}

TEST(RemoteSource, ReportsAHubWithoutRanges) {
  ScriptedHub hub([](const Seen& seen) { return serve_file(seen, kContent, kSha256, false); });
  EXPECT_THAT(refusal([&] { RemoteSource::open(Client(quick(hub)), kRepo, "main", "w.bin"); }),
      HasSubstr("does not support ranges"));
  ScriptedHub small([](const Seen& seen) { return serve_file(seen, "abc", hash_of("abc", 40), false); });
  EXPECT_EQ(text(RemoteSource::open(Client(quick(small)), kRepo, "main", "w.bin")->all()), "abc");
}

TEST(RemoteSource, SendsRequestsToTheStoreUntilItRefuses) {
  std::atomic<bool> has_expired = false;
  ScriptedHub store([&](const Seen& seen) {
    return has_expired && seen.target.ends_with("sig=1") ? reply(403) : serve_file(seen, kContent, "store");
  });
  ScriptedHub hub([&](const Seen&) {
    return reply(302, "",
        fmt::format("X-Repo-Commit: {}\r\nX-Linked-Etag: \"{}\"\r\nX-Linked-Size: {}\r\nLocation: {}/x?sig={}\r\n",
            kCommit, kSha256, kContent.size(), store.url(), has_expired ? 2 : 1));
  });
  const auto source = RemoteSource::open(Client(quick(hub)), kRepo, "main", "w.bin");
  EXPECT_EQ(source->commit(), kCommit);
  read(*source, 0, 10);
  read(*source, 1 << 20, 10);
  EXPECT_EQ(hub.seen().size(), 2u);
  has_expired = true;
  EXPECT_EQ(read(*source, 2 << 20, 10), kContent.substr(2 << 20, 10));
  EXPECT_EQ(hub.seen().size(), 3u);
}

TEST(RemoteSource, LimitsTheMemoryOfViews) {
  ScriptedHub hub([](const Seen&) {
    return reply(206, kContent.substr(0, 262144),
        fmt::format("X-Repo-Commit: {}\r\nETag: \"{}\"\r\nContent-Range: bytes {}-{}/{}\r\n", kCommit, kSha256,
            (uint64_t{4} << 30) - 262144, (uint64_t{4} << 30) - 1, uint64_t{4} << 30));
  });
  const auto source = RemoteSource::open(Client(quick(hub)), kRepo, "main", "w.bin");
  EXPECT_EQ(error_of([&] { source->view(0, uint64_t{4} << 30); }).code(), Code::limit);
}

}  // namespace
}  // namespace depickle::hub
