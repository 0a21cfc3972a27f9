#include "depickle/formats/zip/local_header.h"

#include <algorithm>
#include <array>
#include <mutex>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"

namespace depickle::zip {
namespace {

constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint16_t kDescriptorFlag = 0x8;
// Encrypted, patched, strongly encrypted, masked: some readers ignore these bits.
constexpr uint16_t kRefusedFlags = 0x1 | 0x20 | 0x40 | 0x2000;

class LocatedRecord final : public ByteSource {
 public:
  LocatedRecord(std::shared_ptr<const ByteSource> archive, const Record& record)
      : ByteSource(fmt::format("{} ({})", archive->name(), printable(record.name, 80))),
        archive_(std::move(archive)),
        record_(record) {}

  uint64_t size_bytes() const noexcept override { return record_.size_bytes; }
  bool is_remote() const noexcept override { return true; }
  void check_unchanged() const override { archive_->check_unchanged(); }

 private:
  Bytes do_view(uint64_t offset, uint64_t length) const override { return archive_->view(begin() + offset, length); }
  void do_read(uint64_t offset, MutableBytes out) const override { archive_->read(begin() + offset, out); }
  uint64_t begin() const {
    std::call_once(once_, [&] {
      try {
        begin_ = check_local(*archive_, record_).data_offset;
      } catch (const Error& error) {
        throw error.in(archive_->name());
      }
    });
    return begin_;
  }

  std::shared_ptr<const ByteSource> archive_;
  Record record_;
  mutable std::once_flag once_;
  mutable uint64_t begin_ = 0;
};

}  // namespace

Zip64Block::Zip64Block(Bytes extra, uint64_t offset) : offset_(offset) {
  for (uint64_t at = 0; at + 4 <= extra.size();) {
    auto id = load<uint16_t>(extra, at), length = load<uint16_t>(extra, at + 2);
    if (length > extra.size() - at - 4) break;  // padding without the format of a block; torch's is "FB"
    if (id == 1) block_ = extra.subspan(at + 4, length);
    at += 4 + length;
  }
}

void Zip64Block::widen(uint64_t& value) {
  if (value != 0xffffffff) return;
  if (block_.size() < 8) fail("ZP04", "a 64-bit size is missing", offset_);
  value = load<uint64_t>(block_, 0);
  block_ = block_.subspan(8);
}

namespace {

// Compares sizes and checksum. Returns the size of the data descriptor, without its signature.
uint8_t check_sizes(Bytes header, Bytes extra, const Record& record) {
  const uint64_t at = record.header_offset;
  uint64_t stored = load<uint32_t>(header, 18), size = load<uint32_t>(header, 22);
  const auto crc = load<uint32_t>(header, 14);
  const bool has_descriptor = load<uint16_t>(header, 6) & kDescriptorFlag;
  const bool has_no_sizes = has_descriptor && stored == 0 && size == 0;  // torch writes 0 even with a zip64 block
  Zip64Block wide(extra, at);
  // A descriptor has 64-bit sizes if there is a zip64 block: torch writes one for each record past 4 GiB.
  const auto descriptor_bytes = static_cast<uint8_t>(!has_descriptor ? 0 : wide.exists() ? 20 : 12);
  if (!has_no_sizes) {
    wide.widen(size);
    wide.widen(stored);
    bool unknown = has_descriptor && stored == 0 && size == 0;
    if (!unknown && (stored != record.stored_bytes || size != record.size_bytes))
      fail("ZP05",
          fmt::format("record {} has other sizes in its local header ({} and {}, the directory has {} and {})",
              quoted(record.name, 80), stored, size, record.stored_bytes, record.size_bytes),
          at);
  }
  if (crc != record.crc && !(has_descriptor && crc == 0))
    fail("ZP05", fmt::format("record {} has another checksum in its local header", quoted(record.name, 80)), at);
  return descriptor_bytes;
}

}  // namespace

Local check_local(const ByteSource& source, const Record& record) {
  uint64_t at = record.header_offset;
  std::array<std::byte, 192> start;  // more than torch's headers have
  const MutableBytes near = MutableBytes(start).first(std::min<uint64_t>(start.size(), source.size_bytes() - at));
  source.read(at, near);
  auto bytes_at = [&](uint64_t begin, uint64_t length) {
    return begin + length <= near.size() ? Bytes(near).subspan(begin, length) : source.view(at + begin, length);
  };
  Bytes header = bytes_at(0, kLocalBytes);
  if (load<uint32_t>(header, 0) != kLocalSignature)
    fail("ZP05", fmt::format("record {} has no local header", quoted(record.name, 80)), at);
  auto flags = load<uint16_t>(header, 6), method = load<uint16_t>(header, 8), name_bytes = load<uint16_t>(header, 26),
       extra_bytes = load<uint16_t>(header, 28);
  if ((flags | record.flags) & kRefusedFlags)
    fail("ZP06",
        fmt::format("record {} is flagged as encrypted, patched or masked (flags 0x{:04x} and 0x{:04x})",
            quoted(record.name, 80), flags, record.flags),
        at);
  Bytes rest = bytes_at(kLocalBytes, uint64_t{name_bytes} + extra_bytes);
  if (text(rest.first(name_bytes)) != record.name)
    fail("ZP05",
        fmt::format("record {} has another name in its local header ({})", quoted(record.name, 80),
            quoted(text(rest.first(name_bytes)), 80)),
        at);
  if (method != static_cast<uint16_t>(record.method))
    fail("ZP05",
        fmt::format("record {} has another method in its local header ({}, the directory has {})",
            quoted(record.name, 80), method, static_cast<int>(record.method)),
        at);
  const uint8_t descriptor_bytes = check_sizes(header, rest.subspan(name_bytes), record);
  return {at + kLocalBytes + name_bytes + extra_bytes, descriptor_bytes};
}

std::shared_ptr<const ByteSource> located(std::shared_ptr<const ByteSource> archive, const Record& record) {
  return std::make_shared<LocatedRecord>(std::move(archive), record);
}

}  // namespace depickle::zip
