#include "depickle/formats/zip/end_record.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "depickle/base/error.h"

namespace depickle::zip {
namespace {

constexpr std::string_view kEndSignatureText = "PK\5\6";
constexpr uint32_t kEnd64Signature = 0x06064b50, kLocatorSignature = 0x07064b50;
constexpr uint64_t kEndBytes = 22, kEnd64Bytes = 56, kLocatorBytes = 20, kMaxCommentBytes = 65535;

constexpr std::string_view kSecondReader = "other readers may see another archive in this file";

// Returns `wide`, the zip64 value. The classic field must be the same or `unknown`, which refers to zip64.
uint64_t resolve_zip64(uint64_t classic, uint64_t wide, uint64_t unknown, uint64_t offset) {
  if (classic != unknown && classic != wide)
    fail("ZP01", fmt::format("the end record and the zip64 end record differ ({} and {})", classic, wide), offset);
  return wide;
}

// Reads the end record at `at` and checks it against the zip64 end record and the directory.
EndRecord read_end_record(const ByteSource& source, uint64_t at) {
  Bytes end = source.view(at, kEndBytes);
  uint64_t this_disk = load<uint16_t>(end, 4), directory_disk = load<uint16_t>(end, 6),
           records_here = load<uint16_t>(end, 8), records = load<uint16_t>(end, 10);
  uint64_t directory_bytes = load<uint32_t>(end, 12), directory_offset = load<uint32_t>(end, 16),
           comment_bytes = load<uint16_t>(end, 20);
  if (comment_bytes > source.size_bytes() - at - kEndBytes)
    fail("ZP01", "the archive's comment is longer than the file", at);

  uint64_t directory_end = at;
  bool has_locator = at >= kLocatorBytes && load<uint32_t>(source.view(at - kLocatorBytes, 4), 0) == kLocatorSignature;
  if (has_locator) {
    Bytes locator = source.view(at - kLocatorBytes, kLocatorBytes);
    auto end64_at = load<uint64_t>(locator, 8);
    if (load<uint32_t>(locator, 4) != 0 || load<uint32_t>(locator, 16) > 1)
      fail("ZP01", "the archive is split over several disks", at - kLocatorBytes);
    if (end64_at > at - kLocatorBytes || at - kLocatorBytes - end64_at < kEnd64Bytes)
      fail("ZP01", "the zip64 locator points outside the archive", at - kLocatorBytes);
    Bytes end64 = source.view(end64_at, kEnd64Bytes);
    if (load<uint32_t>(end64, 0) != kEnd64Signature || load<uint64_t>(end64, 4) != at - kLocatorBytes - end64_at - 12)
      fail("ZP01", "the zip64 locator does not point to a zip64 end record", end64_at);
    records_here = resolve_zip64(records_here, load<uint64_t>(end64, 24), 0xffff, at);
    records = resolve_zip64(records, load<uint64_t>(end64, 32), 0xffff, at);
    directory_bytes = resolve_zip64(directory_bytes, load<uint64_t>(end64, 40), 0xffffffff, at);
    directory_offset = resolve_zip64(directory_offset, load<uint64_t>(end64, 48), 0xffffffff, at);
    directory_end = end64_at;
  }
  if (this_disk != 0 || directory_disk != 0 || records_here != records)
    fail("ZP01", "the archive is split over several disks", at);
  if (directory_offset > directory_end || directory_bytes != directory_end - directory_offset)
    fail("ZP01",
        fmt::format("the directory (bytes {} to {}+{}) does not end where the end record begins", directory_offset,
            directory_offset, directory_bytes),
        at);
  if (records > 0 && (directory_bytes < 4 || load<uint32_t>(source.view(directory_offset, 4), 0) != kCentralSignature))
    fail("ZP01", "the end record does not point to a directory", directory_offset);
  return {records, directory_offset, directory_bytes, source.size_bytes() - at - kEndBytes - comment_bytes};
}

// Returns the offsets in `tail` of possible end records, the last one first. Searches forwards, because
// std::string_view::find is faster than rfind.
std::vector<uint64_t> find_signatures(Bytes tail) {
  std::vector<uint64_t> offsets;
  for (size_t at = text(tail).find(kEndSignatureText); at != std::string_view::npos && at + kEndBytes <= tail.size();
      at = text(tail).find(kEndSignatureText, at + 1))
    offsets.push_back(at);
  std::ranges::reverse(offsets);
  return offsets;
}

}  // namespace

EndRecord find_end_record(const ByteSource& source) {
  uint64_t size = source.size_bytes();
  uint64_t tail_bytes = std::min(size, kEndBytes + kMaxCommentBytes);
  Bytes tail = source.view(size - tail_bytes, tail_bytes);
  std::optional<EndRecord> found;
  std::optional<Error> refusal;
  for (uint64_t in_tail : find_signatures(tail)) {
    uint64_t at = size - tail_bytes + in_tail;
    std::optional<EndRecord> end;
    try {
      end = read_end_record(source, at);
    } catch (const Error& error) {
      // Before a valid end record, these are four bytes of a record that equal the signature.
      if (!found && !refusal)
        refusal = error.code() == Code::malformed ? error.with_hint(std::string(kSecondReader)) : error;
    }
    if (end && refusal) throw *refusal;
    if (end && found)
      throw Error(Code::malformed, "ZP01", "the file contains two archives", Where::at(at), std::string(kSecondReader));
    if (end) found = end;
  }
  if (found) return *found;
  if (refusal) throw *refusal;
  throw Error(Code::truncated, "ZP01", "the zip archive is truncated: it has no end record", Where::at(size),
      "download it again and compare its size with the original");
}

}  // namespace depickle::zip
