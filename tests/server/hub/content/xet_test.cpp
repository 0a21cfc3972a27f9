#include <lz4frame.h>

#include <algorithm>
#include <cstring>

#include "server/hub/content/shard.h"
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
  std::string sha(const std::string& text) { return sha256_hex(bytes(text)); }

  std::string a_ = std::string(4001, 'a'), b_ = "bcdefgh", c_ = std::string(70'003, 'c') + "end";
  std::string hash_ = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";
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
           framed(3, "x", 1), framed(0, "xy", 1), framed(0, "", 0), framed(1, "x", 0)}) {
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
    send("me", hash, bad);
    EXPECT_TRUE(refuses(
        StoreReason::malformed, [&] { take("me", shard_of(file_records(sha(c_), {{hash, c_.size(), 0, 1}}))); },
        "xorb is malformed"))
        << number;
  }
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
