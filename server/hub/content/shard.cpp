#include "server/hub/content/shard.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "server/hub/git/store_error.h"

namespace depickle::server::content {
namespace {

constexpr uint64_t kHeaderBytes = 48, kRecordBytes = 48, kHashBytes = 32;
constexpr uint64_t kBufferedRecords = 1024;
constexpr uint32_t kHasVerification = 0x80000000, kHasSha256 = 0x40000000;

[[noreturn]] void bad_shard(std::string_view why) {
  throw StoreError(StoreReason::malformed, fmt::format("the shard is broken: {}", why));
}

// Returns the records in order, and checks that each is inside the shard.
class Records {
 public:
  Records(const ShardBytes& shard, uint64_t offset) : shard_(shard), offset_(offset) {}

  uint64_t offset() const { return offset_; }
  // The record is valid until the next call.
  Bytes next() {
    if (offset_ + kRecordBytes > shard_.size_bytes) bad_shard("it ends within a file");
    if (offset_ < start_ || offset_ + kRecordBytes > start_ + buffer_.size()) {
      start_ = offset_;
      buffer_.resize(std::min(kBufferedRecords * kRecordBytes, shard_.size_bytes - start_));
      shard_.read(start_, buffer_);
    }
    Bytes record = Bytes(buffer_).subspan(offset_ - start_, kRecordBytes);
    offset_ += kRecordBytes;
    return record;
  }
  void skip(uint64_t count) {
    if (count > (shard_.size_bytes - offset_) / kRecordBytes) bad_shard("it ends within a file");
    offset_ += count * kRecordBytes;
  }

 private:
  const ShardBytes& shard_;
  uint64_t offset_;
  uint64_t start_ = 0;  // of the buffer in the shard
  std::vector<std::byte> buffer_;
};

}  // namespace

std::string hash_text(Bytes field) {
  std::string digits;
  for (uint64_t i = 0; i < kHashBytes; i += 8) digits += fmt::format("{:016x}", load<uint64_t>(field, i));
  return digits;
}

void each_segment(
    const ShardBytes& shard, const ShardFile& file, const std::function<void(const ShardSegment&)>& take) {
  Records records(shard, file.segments_offset);
  for (uint64_t i = 0; i < file.segment_count; ++i) {
    Bytes record = records.next();
    take({hash_text(record), load<uint32_t>(record, 36), load<uint32_t>(record, 40), load<uint32_t>(record, 44)});
  }
}

void each_file(const ShardBytes& shard, const std::function<void(const ShardFile&)>& take) {
  constexpr std::string_view kMagic("HFRepoMetaData\0", 15);
  std::vector<std::byte> head(kHeaderBytes);
  if (shard.size_bytes < head.size()) bad_shard("it does not begin as one");
  shard.read(0, head);
  if (text(Bytes(head).first(kMagic.size())) != kMagic) bad_shard("it does not begin as one");
  if (uint64_t version = load<uint64_t>(head, 32); version != 2) bad_shard(fmt::format("version {}", version));
  Records records(shard, kHeaderBytes);
  for (;;) {
    Bytes header = records.next();
    Bytes hash = header.first(kHashBytes);
    if (std::all_of(hash.begin(), hash.end(), [](std::byte byte) { return byte == std::byte{0xff}; })) return;
    uint32_t flags = load<uint32_t>(header, 32), count = load<uint32_t>(header, 36);
    ShardFile file{{}, records.offset(), count};
    records.skip(count);
    if (flags & kHasVerification) records.skip(count);
    if (!(flags & kHasSha256)) bad_shard("a file without SHA-256");
    file.sha256 = hash_text(records.next());
    take(file);
  }
}

}  // namespace depickle::server::content
