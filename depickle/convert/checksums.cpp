#include "depickle/convert/checksums.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/crc32.h"
#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/convert/blocks.h"

namespace depickle::convert {
namespace {

constexpr uint64_t kPieceBytes = 8 << 20;

struct Piece {
  uint32_t storage;
  uint32_t crc;
  uint64_t begin;
};

[[noreturn]] void damaged(const Storage& storage, uint32_t computed) {
  throw Error(Code::integrity, "ZP12",
      fmt::format("storage {} is damaged: its checksum is {:08x}, recorded is {:08x}", quoted(storage.key), computed,
          storage.crc),
      {.file = storage.source->name(), .tensor = {}, .offset_bytes = storage.offset_bytes},
      "fetch the file again; --no-checksums converts it as it is");
}

}  // namespace

void check_checksums(const Weights& source, unsigned threads, const Progress& progress, std::string_view file) {
  std::span<const Storage> storages = source.storages();
  std::vector<Piece> pieces;
  uint64_t total_bytes = 0;
  for (uint32_t i = 0; i < storages.size(); ++i) {
    if (storages[i].crc == 0) continue;
    total_bytes += storages[i].size_bytes;
    for (uint64_t begin = 0; begin < storages[i].size_bytes; begin += kPieceBytes) pieces.push_back({i, 0, begin});
  }
  auto length_of = [&](const Piece& piece) {
    return std::min(kPieceBytes, storages[piece.storage].size_bytes - piece.begin);
  };

  Meter meter(progress, "check", file, total_bytes);
  parallel_for(pieces.size(), threads, [&](uint64_t i) {
    const Storage& storage = storages[pieces[i].storage];
    uint64_t length = length_of(pieces[i]);
    pieces[i].crc = crc32(0, storage.source->view(storage.offset_bytes + pieces[i].begin, length));
    meter.add(length);
  });

  for (size_t i = 0; i < pieces.size();) {
    const Storage& storage = storages[pieces[i].storage];
    uint32_t crc = pieces[i].crc;
    size_t next = i + 1;
    for (; next < pieces.size() && pieces[next].storage == pieces[i].storage; ++next)
      crc = crc32_combine(crc, pieces[next].crc, length_of(pieces[next]));
    if (crc != storage.crc) damaged(storage, crc);
    i = next;
  }
}

}  // namespace depickle::convert
