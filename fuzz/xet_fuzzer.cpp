// Uploads by xet: a shard if the first byte is even, otherwise a xorb.
#include <algorithm>
#include <vector>

#include "fuzz/fuzz.h"
#include "server/hub/content/shard.h"
#include "server/hub/content/xorb.h"

namespace depickle::fuzz {
namespace {

using namespace server::content;

void check_shard(Bytes shard) {
  accepts([&] {
    const ShardBytes source{shard.size(), [&](uint64_t offset_bytes, MutableBytes out) {
                              require(out.size() <= shard.size() && offset_bytes <= shard.size() - out.size(),
                                  "only bytes of the shard are read");
                              std::ranges::copy(shard.subspan(offset_bytes, out.size()), out.begin());
                            }};
    each_file(source, [&](const ShardFile& file) {
      require(file.sha256.size() == 64, "a file has a SHA-256");
      each_segment(source, file,
          [&](const ShardSegment& segment) { require(segment.xorb.size() == 64, "a segment names a xorb"); });
    });
  });
}

void check_xorb(Bytes xorb) {
  constexpr uint32_t kMaxRawBytes = 1 << 20;
  std::vector<std::byte> raw;
  accepts([&] {
    while (xorb.size() >= kChunkHeaderBytes) {
      const ChunkHeader header = parse_chunk_header(xorb.first(kChunkHeaderBytes));
      xorb = xorb.subspan(kChunkHeaderBytes);
      if (header.compressed_bytes > xorb.size() || header.raw_bytes > kMaxRawBytes) return;
      unpack_chunk(header, xorb.first(header.compressed_bytes), raw);
      require(raw.size() == header.raw_bytes, "a chunk has the size that its header declares");
      xorb = xorb.subspan(header.compressed_bytes);
    }
  });
}

void run(Bytes bytes) {
  if (bytes.empty()) return;
  const bool is_shard = std::to_integer<unsigned>(bytes[0]) % 2 == 0;
  is_shard ? check_shard(bytes.subspan(1)) : check_xorb(bytes.subspan(1));
}

}  // namespace
}  // namespace depickle::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  depickle::fuzz::run(depickle::fuzz::input(data, size));
  return 0;
}
