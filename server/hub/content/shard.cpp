#include "server/hub/content/shard.h"

#include <algorithm>

#include <fmt/format.h>

#include "server/hub/git/store_error.h"

namespace depickle::server::content {
namespace {

constexpr uint64_t kHeaderBytes = 48, kRecordBytes = 48, kHashBytes = 32;
constexpr uint32_t kHasVerification = 0x80000000, kHasSha256 = 0x40000000;

[[noreturn]] void bad_shard(std::string_view why) {
  throw StoreError(StoreReason::malformed, fmt::format("the shard is broken: {}", why));
}

// Returns the records in order, and checks that each is inside the shard.
class Records {
 public:
  explicit Records(Bytes bytes) : bytes_(bytes) {}
  Bytes take(uint64_t count) {
    if (count > bytes_.size() / kRecordBytes) bad_shard("it ends within a file");
    Bytes taken = bytes_.first(count * kRecordBytes);
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

 private:
  Bytes bytes_;
};

}  // namespace

std::string hash_text(Bytes field) {
  std::string digits;
  for (uint64_t i = 0; i < kHashBytes; i += 8) digits += fmt::format("{:016x}", load<uint64_t>(field, i));
  return digits;
}

ShardSegment ShardFile::segment(uint64_t i) const {
  Bytes record = segments.subspan(i * kRecordBytes, kRecordBytes);
  return {hash_text(record), load<uint32_t>(record, 36), load<uint32_t>(record, 40), load<uint32_t>(record, 44)};
}

std::vector<ShardFile> parse_shard(Bytes shard) {
  constexpr std::string_view kMagic("HFRepoMetaData\0", 15);
  if (shard.size() < kHeaderBytes || text(shard.first(kMagic.size())) != kMagic) bad_shard("it does not begin as one");
  if (uint64_t version = load<uint64_t>(shard, 32); version != 2) bad_shard(fmt::format("version {}", version));
  Records records(shard.subspan(kHeaderBytes));
  std::vector<ShardFile> files;
  for (;;) {
    Bytes header = records.take(1);
    Bytes hash = header.first(kHashBytes);
    if (std::all_of(hash.begin(), hash.end(), [](std::byte byte) { return byte == std::byte{0xff}; })) return files;
    uint32_t flags = load<uint32_t>(header, 32), count = load<uint32_t>(header, 36);
    ShardFile file{{}, records.take(count)};
    if (flags & kHasVerification) records.take(count);
    if (!(flags & kHasSha256)) bad_shard("a file without SHA-256");
    file.sha256 = hash_text(records.take(1));
    files.push_back(std::move(file));
  }
}

}  // namespace depickle::server::content
