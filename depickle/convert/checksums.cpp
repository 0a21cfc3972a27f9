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

[[noreturn]] void damaged(const Storage& storage, uint32_t computed) {
  throw Error(Code::integrity, "ZP12",
      fmt::format("storage {} is damaged: its CRC-32 is {:08x}, the container records {:08x}", quoted(storage.key),
          computed, storage.crc),
      {.file = storage.source->name(), .tensor = {}, .offset_bytes = storage.offset_bytes}, "download the file again")
      .with_reason(Reason::checksum_mismatch);
}

}  // namespace

void Checksums::compute(Piece& piece) const {
  const Storage& storage = source_.storages()[piece.storage];
  piece.crc = crc32(0, storage.source->view(storage.offset_bytes + piece.begin, piece.end - piece.begin));
}

void Checksums::piece(const Tensor& tensor, uint64_t begin, uint64_t end) {
  const Storage& storage = source_.storage(tensor);
  if (storage.crc == 0 || !tensor.is_contiguous() || begin == end) return;
  Piece piece{tensor.storage, 0, tensor.offset_bytes + begin, tensor.offset_bytes + end};
  compute(piece);
  const bool is_whole = piece.begin == 0 && piece.end == storage.size_bytes;
  if (is_whole) check_storage(storage, {&piece, 1});
  std::scoped_lock lock(mutex_);
  if (is_whole) {
    is_checked_[tensor.storage] = true;
  } else {
    pieces_.push_back(piece);
  }
}

// Removes overlaps from pieces_ and returns the byte ranges of unchecked storages that pieces_ does not cover.
std::vector<Checksums::Piece> Checksums::take_gaps() {
  std::ranges::sort(pieces_, {}, [](const Piece& piece) { return std::pair(piece.storage, piece.begin); });
  std::vector<Piece> gaps;
  auto next = pieces_.begin(), kept = pieces_.begin();
  for (uint32_t i = 0; i < source_.storages().size(); ++i) {
    const Storage& storage = source_.storages()[i];
    if (storage.crc == 0) continue;
    if (is_checked_[i]) {
      next = std::find_if(next, pieces_.end(), [&](const Piece& piece) { return piece.storage != i; });
      continue;
    }
    uint64_t covered = 0;
    auto gap_to = [&](uint64_t end) {
      for (; covered < end; covered = gaps.back().end)
        gaps.push_back({i, 0, covered, std::min(end, covered + kPieceBytes)});
    };
    for (; next != pieces_.end() && next->storage == i; ++next) {
      if (next->begin < covered) continue;  // overlaps the piece of another tensor
      gap_to(next->begin);
      covered = next->end;
      *kept++ = *next;
    }
    gap_to(storage.size_bytes);
  }
  pieces_.erase(kept, pieces_.end());
  return gaps;
}

void Checksums::check_storage(const Storage& storage, std::span<const Piece> pieces) const {
  uint32_t crc = 0;
  for (const Piece& piece : pieces) crc = crc32_combine(crc, piece.crc, piece.end - piece.begin);
  if (crc != storage.crc) damaged(storage, crc);
}

void Checksums::check(unsigned threads, const Progress& progress, std::string_view file) {
  std::vector<Piece> gaps = take_gaps();
  uint64_t gap_bytes = 0;
  for (const Piece& gap : gaps) gap_bytes += gap.end - gap.begin;
  ProgressMeter meter(progress, "check", file, gap_bytes);
  parallel_for(gaps.size(), threads, [&](uint64_t i) {
    compute(gaps[i]);
    meter.add(gaps[i].end - gaps[i].begin);
  });

  pieces_.insert(pieces_.end(), gaps.begin(), gaps.end());
  std::ranges::sort(pieces_, {}, [](const Piece& piece) { return std::pair(piece.storage, piece.begin); });
  for (std::span<const Piece> rest(pieces_); !rest.empty();) {
    const auto next_storage = std::ranges::find_if(rest, [&](const Piece& x) { return x.storage != rest[0].storage; });
    const auto count = static_cast<size_t>(next_storage - rest.begin());
    check_storage(source_.storages()[rest[0].storage], rest.first(count));
    rest = rest.subspan(count);
  }
}

}  // namespace depickle::convert
