#include <lz4frame.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "server/hub/content/shard.h"
#include "server/hub/content/xorb_hash.h"
#include "server/hub/repos/garbage.h"
#include "tests/server/hub/store_fixture.h"

namespace depickle::server::content {
namespace {

using namespace repos;

std::string little(uint64_t number, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += static_cast<char>(number >> (8 * i));
  return out;
}

std::string lz4(const std::string& raw) {
  std::string out(LZ4F_compressFrameBound(raw.size(), nullptr), '\0');
  out.resize(LZ4F_compressFrame(out.data(), out.size(), raw.data(), raw.size(), nullptr));
  return out;
}

std::string grouped(const std::string& raw) {
  std::string out;
  for (size_t group = 0; group < 4; ++group) {
    for (size_t i = group; i < raw.size(); i += 4) out += raw[i];
  }
  return out;
}

std::string framed(int scheme, const std::string& data, uint64_t raw_bytes) {
  return little(0, 1) + little(data.size(), 3) + little(static_cast<uint64_t>(scheme), 1) + little(raw_bytes, 3) + data;
}

std::string chunk(int scheme, const std::string& raw) {
  return framed(scheme, scheme == 0 ? raw : lz4(scheme == 1 ? raw : grouped(raw)), raw.size());
}

// 64 digits → the 32 bytes of a hash field.
std::string field(const std::string& digits) {
  std::string out;
  for (size_t i = 0; i < 64; i += 16) out += little(std::stoull(digits.substr(i, 16), nullptr, 16), 8);
  return out;
}

struct Segment {
  std::string xorb;
  uint64_t raw_bytes, begin, end;
};

std::string file_records(const std::string& sha256, const std::vector<Segment>& segments, bool verification = true) {
  std::string out = field(std::string(64, '1')) + little(0x40000000 | (verification ? 0x80000000 : 0), 4) +
                    little(segments.size(), 4) + little(0, 8);
  for (const Segment& segment : segments) {
    out += field(segment.xorb) + little(0, 4) + little(segment.raw_bytes, 4) + little(segment.begin, 4) +
           little(segment.end, 4);
  }
  if (verification) out += std::string(48 * segments.size(), 'v');
  return out + field(sha256) + std::string(16, '\0');
}

std::string shard_of(const std::string& files) {
  return std::string("HFRepoMetaData\0", 15) + std::string(17, 'U') + little(2, 8) + little(0, 8) + files +
         std::string(32, '\xff') + std::string(16, '\0') + "xorbs, ignored";
}

class XetTest : public StoreTest {
 protected:
  bool send(const std::string& user, const std::string& hash, const std::string& xorb) {
    XorbUpload upload = store_->xet().xorb(user, hash);
    upload.append(bytes(xorb));
    return upload.finish();
  }
  uint64_t take(const std::string& user, const std::string& shard) {
    return store_->xet().take_shard(user, {shard.size(), [&](uint64_t offset_bytes, MutableBytes out) {
                                             std::ranges::copy(
                                                 bytes(shard).subspan(offset_bytes, out.size()), out.begin());
                                           }});
  }
  static std::string hash_of(const std::vector<std::string>& chunks) {
    std::vector<HashedChunk> hashes;
    for (const std::string& raw : chunks) hashes.push_back({chunk_hash(bytes(raw)), raw.size()});
    return xorb_hash(std::move(hashes));
  }
  std::string sha(const std::string& text) { return sha256_hex(bytes(text)); }

  std::string a_ = std::string(4001, 'a'), b_ = "bcdefgh", c_ = std::string(70'003, 'c') + "end";
  std::string hash_ = hash_of({a_, c_, b_, a_ + b_});
  std::string xorb_ = chunk(0, a_) + chunk(1, c_) + chunk(2, b_) + chunk(2, a_ + b_);
  RepoInfo info_ = create_repo("me/demo");
};

TEST_F(XetTest, AFileIsMadeFromItsChunks) {
  EXPECT_TRUE(send("me", hash_, xorb_));
  EXPECT_FALSE(send("me", hash_, xorb_));
  std::string whole = c_ + b_ + a_ + b_ + a_, other = a_ + c_;
  std::string shard =
      shard_of(file_records(sha(whole), {{hash_, (c_ + b_ + a_ + b_).size(), 1, 4}, {hash_, a_.size(), 0, 1}}) +
               file_records(sha(other), {{hash_, other.size(), 0, 2}}, false));
  EXPECT_EQ(take("me", shard), 2u);
  EXPECT_EQ(take("me", shard), 2u);
  EXPECT_TRUE(store_->lfs().uploaded("me", sha(other)));
  commit(info_, "x", AddLfsFile{"w.bin", sha(whole), whole.size()});
  EXPECT_EQ(content(info_, "w.bin"), whole);
}

TEST_F(XetTest, LaterShardsMayReferToOldXorbs) {
  send("me", hash_, xorb_);
  std::string id = store_->id();
  reopen();
  EXPECT_EQ(store_->id(), id);
  EXPECT_EQ(take("me", shard_of(file_records(sha(a_), {{hash_, a_.size(), 0, 1}}))), 1u);
}

TEST_F(XetTest, AXorbOfAnotherUserIsUnknown) {
  send("me", hash_, xorb_);
  std::string shard = shard_of(file_records(sha(a_), {{hash_, a_.size(), 0, 1}}));
  EXPECT_TRUE(refuses(StoreReason::malformed, [&] { take("thief", shard); }, "was not uploaded"));
  take("me", shard);
  EXPECT_TRUE(refuses(StoreReason::malformed, [&] { take("thief", shard); }, "was not uploaded"));
}

TEST_F(XetTest, ForgedShardsAreRefused) {
  send("me", hash_, xorb_);
  std::string good = file_records(sha(a_), {{hash_, a_.size(), 0, 1}}), whole = shard_of(good);
  EXPECT_TRUE(refuses(
      StoreReason::malformed, [&] { take("me", shard_of(file_records(sha(b_), {{hash_, a_.size(), 0, 1}}))); },
      "SHA-256"));
  EXPECT_TRUE(refuses(
      StoreReason::malformed, [&] { take("me", shard_of(file_records(sha(a_), {{hash_, a_.size() + 1, 0, 1}}))); },
      "shorter"));
  EXPECT_TRUE(refuses(
      StoreReason::malformed, [&] { take("me", shard_of(file_records(sha(a_), {{hash_, a_.size() - 1, 0, 1}}))); },
      "longer"));
  for (auto [begin, end] : {std::pair<uint64_t, uint64_t>{0, 5}, {1, 1}, {2, 1}, {4, 5}, {0xffffffff, 0}}) {
    EXPECT_TRUE(refuses(
        StoreReason::malformed, [&] { take("me", shard_of(file_records(sha(a_), {{hash_, a_.size(), begin, end}}))); }))
        << begin << " " << end;
  }
  std::string without_sha = whole, endless = whole, version = whole;
  without_sha[48 + 35] = static_cast<char>(0x80);
  endless[48 + 39] = '\x7f';
  version[32] = 3;
  for (const std::string& bad : {without_sha, endless, version, std::string("HFRepo"), std::string()}) {
    EXPECT_TRUE(refuses(StoreReason::malformed, [&] { take("me", bad); }));
  }
  for (size_t length = 0; length < 48 + good.size() + 48; ++length) {
    EXPECT_TRUE(refuses(StoreReason::malformed, [&] { take("me", whole.substr(0, length)); })) << length;
  }
  EXPECT_FALSE(store_->lfs().size_of(sha(a_)));
  EXPECT_TRUE(std::filesystem::is_empty(store_->folder() / "tmp"));
}

TEST_F(XetTest, MalformedXorbsAreRefused) {
  std::string version = xorb_;
  version[0] = 1;
  for (const std::string& bad : {std::string(), version, xorb_.substr(0, xorb_.size() - 1), xorb_ + "1234567",
           framed(3, "x", 1), framed(0, "xy", 1), framed(0, "", 0), framed(1, "x", 0), chunk(1, a_)}) {
    EXPECT_TRUE(refuses(StoreReason::malformed, [&] { send("me", hash_, bad); }));
  }
  for (const char* hash : {"../../x", "", "00"})
    EXPECT_TRUE(refuses(StoreReason::malformed, [&] { send("me", hash, xorb_); }));
}

TEST_F(XetTest, ChunksWithAWrongSizeAreRefused) {
  std::string frame = lz4(c_);
  int number = 0;
  for (const std::string& bad :
      {framed(1, frame, c_.size() - 1), framed(1, frame, c_.size() + 1), framed(1, frame.substr(0, 20), c_.size()),
          framed(1, "not a frame", c_.size()), framed(1, frame + "more", c_.size()), framed(2, frame, c_.size() + 4)}) {
    std::string hash = "0" + std::to_string(number++) + hash_.substr(2);
    EXPECT_TRUE(refuses(StoreReason::malformed, [&] { send("me", hash, bad); }, "xorb is malformed")) << number;
  }
}

// An example of the protocol's reference implementation.
TEST_F(XetTest, HashesOfXorbs) {
  auto root = [](uint64_t count) {
    std::vector<HashedChunk> leaves;
    for (uint64_t i = 0; i < count; ++i) leaves.push_back({chunk_hash(bytes(little(i, 8))), 100 + i});
    return xorb_hash(std::move(leaves));
  };
  EXPECT_EQ(hash_text(chunk_hash(bytes("abc"))), "a8803506f7aff014f19aa9e9b79dc6455c49672570f96156071329698dd0284e");
  EXPECT_EQ(root(1), "10bb77c0c77ad7311e5235905cd4edc1f36641f3a2c9b9d4e5cd8b2c9694067a");
  EXPECT_EQ(root(3), "4add0dd55f5f441d489a69e3a27a1a2b6fda74a34c0c11844afceecb02bf60bf");
  EXPECT_EQ(root(10), "658bd4282a2fd928ed82d79bacda3361527622601602df11b5920dc597dafd0d");
  EXPECT_EQ(root(12), "b4dfeba31319eec26913a00e95b65b886d152a3a1069bd17c2011415ec9ac548");
  EXPECT_EQ(root(100), "105c69b8b0d87bba16ced7a42f6e5bcde899c0f18857fae9fe3535b92ace4e7a");
  EXPECT_EQ(root(2000), "cf6f2734d89b033ef4cdba112edfbd246f80c722f1a4d21e9097965bbfbf2fe9");
  std::string bytes_of_example;
  for (uint64_t x = 1; bytes_of_example.size() < 195'734;) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    bytes_of_example += static_cast<char>(x >> 56);
  }
  EXPECT_EQ(hash_text(chunk_hash(bytes(bytes_of_example.substr(0, 64'662)))),
      "d268e73ccad507db1e32904cbbb76cf651682582a09bb5a2a494e6b5fec61ca8");
  EXPECT_EQ(hash_text(chunk_hash(bytes(bytes_of_example.substr(64'662)))),
      "bca0f0ee1c1c22be7050d027791f9120361ba3a29cce6854a1056a6ad49b66c9");
}

TEST_F(XetTest, AStoredXorbIsReplacedByPlacesInObjects) {
  auto xorb_bytes = [&] {
    uint64_t total = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(store_->folder() / "xorbs"))
      if (entry.is_regular_file()) total += entry.file_size();
    return total;
  };
  std::string first = a_ + b_, second = c_ + a_ + b_;
  send("me", hash_, xorb_);
  EXPECT_GT(xorb_bytes(), xorb_.size());
  // Chunks 0 and 2, then 1 and 3: after the first shard, the xorb is still needed.
  std::string first_file = file_records(sha(first), {{hash_, a_.size(), 0, 1}, {hash_, b_.size(), 2, 3}});
  std::string second_file = file_records(sha(second), {{hash_, c_.size(), 1, 2}, {hash_, a_.size() + 7, 3, 4}});
  take("me", shard_of(first_file));
  EXPECT_GT(xorb_bytes(), xorb_.size());
  take("me", shard_of(first_file + second_file));
  EXPECT_LT(xorb_bytes(), 300u);
  // Later shards find the chunks.
  std::string third = b_ + c_ + a_;
  take("me", shard_of(file_records(sha(third), {{hash_, 7, 2, 3}, {hash_, c_.size(), 1, 2}, {hash_, 4001, 0, 1}})));
  EXPECT_TRUE(store_->lfs().uploaded("me", sha(third)));
  // So does an upload of the same xorb and file by a client that has forgotten them.
  send("me", hash_, xorb_);
  take("me", shard_of(first_file + second_file));
  EXPECT_LT(xorb_bytes(), 300u);
}

TEST_F(XetTest, AShardThatLiesAboutAnUploadedObjectChangesNoXorb) {
  std::string other = std::string(a_.size(), 'z');
  uploaded(other, me_);
  std::string hash = hash_of({a_});
  send("me", hash, chunk(0, a_));
  take("me", shard_of(file_records(sha(other), {{hash, a_.size(), 0, 1}})));
  take("me", shard_of(file_records(sha(a_), {{hash, a_.size(), 0, 1}})));
  EXPECT_TRUE(store_->lfs().uploaded("me", sha(a_)));
}

TEST_F(XetTest, AXorbWithoutAShardIsDeletedAfterAWeek) {
  send("me", hash_, xorb_);
  EXPECT_EQ(collect_garbage(store_->folder(), {}).xorbs.count, 0u);
  const auto now = std::filesystem::file_time_type::clock::now();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store_->folder() / "xorbs"))
    std::filesystem::last_write_time(entry.path(), now - std::chrono::hours(24 * 8));
  EXPECT_EQ(collect_garbage(store_->folder(), {}).xorbs.count, 1u);
  std::string shard = shard_of(file_records(sha(a_), {{hash_, a_.size(), 0, 1}}));
  EXPECT_TRUE(refuses(StoreReason::malformed, [&] { take("me", shard); }, "was not uploaded"));
}

class XetLimitsTest : public XetTest {
 protected:
  XetLimitsTest() {
    limits_.lfs_file_bytes = 10'000;
    limits_.xorb_bytes = 100'000;
    limits_.shard_bytes = 1000;
    reopen();
  }
};

TEST_F(XetLimitsTest, TheFilesOfAShardAreLimited) {
  send("me", hash_, xorb_);
  EXPECT_TRUE(refuses(StoreReason::too_large, [&] {
    take("me", shard_of(file_records(sha(a_), {{hash_, 4001, 0, 1}, {hash_, 4001, 0, 1}, {hash_, 4001, 0, 1}})));
  }));
  EXPECT_TRUE(refuses(StoreReason::too_large, [&] { send("me", hash_, std::string(100'001, 'x')); }));
  EXPECT_TRUE(refuses(StoreReason::too_large, [&] { take("me", std::string(1001, 'x')); }));
}

}  // namespace
}  // namespace depickle::server::content
