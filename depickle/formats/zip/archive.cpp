#include "depickle/formats/zip/archive.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/zip/end_record.h"
#include "depickle/formats/zip/inflate.h"
#include "depickle/formats/zip/local_header.h"

namespace depickle::zip {
namespace {

constexpr uint64_t kCentralBytes = 46;
constexpr uint64_t kMaxRecords = 1'000'000, kMaxDirectoryBytes = 256 << 20;

int fold(char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : static_cast<unsigned char>(c); }

// FNV-1a.
uint64_t folded_hash(std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : name) hash = (hash ^ static_cast<uint64_t>(fold(c))) * 0x100000001b3;
  return hash;
}

int compare_folded(std::string_view a, std::string_view b) {
  size_t shared_bytes = std::min(a.size(), b.size()), i = 0;
  while (i + 8 <= shared_bytes && std::memcmp(a.data() + i, b.data() + i, 8) == 0)
    i += 8;  // most names have a common prefix
  for (; i < shared_bytes; ++i) {
    if (int order = fold(a[i]) - fold(b[i]); order != 0) return order;
  }
  return a.size() < b.size() ? -1 : a.size() > b.size();
}

// ZP08: all tools must read the name in the same way.
void check_name(std::string_view name, uint64_t offset) {
  auto refuse = [&](std::string_view why) {
    fail("ZP08", fmt::format("the record's name {} {}", quoted(name, 80), why), offset);
  };
  if (name.empty() || name.size() > 4096) refuse("is empty or longer than 4096 bytes");
  if (!is_utf8(name)) refuse("is not UTF-8");
  if (name.find('\0') != name.npos || name.find('\\') != name.npos) refuse("contains NUL or a backslash");
  if (name.front() == '/' || (name.size() > 1 && name[1] == ':')) refuse("is absolute");
  for (size_t begin = 0; begin <= name.size();) {
    size_t end = std::min(name.find('/', begin), name.size());
    std::string_view part = name.substr(begin, end - begin);
    if (part == "." || part == ".." || part.empty()) refuse("has an empty, . or .. part");
    begin = end + 1;
  }
}

struct DirectoryEntry {
  Record record;  // without data_offset
  uint64_t entry_bytes;
};

// Reads the first entry of `directory`, which begins at `offset` of the archive.
DirectoryEntry read_entry(Bytes directory, uint64_t offset) {
  if (directory.size() < kCentralBytes || load<uint32_t>(directory, 0) != kCentralSignature)
    fail("ZP03", "the directory ends too early", offset);
  const auto method = load<uint16_t>(directory, 10), name_bytes = load<uint16_t>(directory, 28),
             extra_bytes = load<uint16_t>(directory, 30), comment_bytes = load<uint16_t>(directory, 32),
             disk = load<uint16_t>(directory, 34);
  const uint64_t entry_bytes = kCentralBytes + name_bytes + extra_bytes + comment_bytes;
  if (directory.size() < entry_bytes) fail("ZP03", "a directory entry is longer than the directory", offset);
  if (disk != 0) fail("ZP03", "the archive is split over several disks", offset);
  Record record{.name = text(directory.subspan(kCentralBytes, name_bytes)),
      .header_offset = load<uint32_t>(directory, 42),
      .data_offset = 0,
      .stored_bytes = load<uint32_t>(directory, 20),
      .size_bytes = load<uint32_t>(directory, 24),
      .crc = load<uint32_t>(directory, 16),
      .flags = load<uint16_t>(directory, 8),
      .method = static_cast<Record::Method>(method)};
  Zip64Block wide(directory.subspan(kCentralBytes + name_bytes, extra_bytes), offset);
  wide.widen(record.size_bytes);
  wide.widen(record.stored_bytes);
  wide.widen(record.header_offset);
  const bool is_folder = record.name.ends_with('/') && record.size_bytes == 0;
  check_name(is_folder ? record.name.substr(0, record.name.size() - 1) : record.name, offset);
  if (method != 0 && method != 8)
    throw Error(Code::unsupported, "ZP07",
        fmt::format("record {} is compressed with method {} (torch reads 0, stored, and 8, deflated)",
            quoted(record.name, 80), method),
        Where::at(offset));
  if (method == 0 && record.stored_bytes != record.size_bytes)
    fail("ZP05",
        fmt::format("record {} is stored but has two sizes ({} and {})", quoted(record.name, 80), record.stored_bytes,
            record.size_bytes),
        offset);
  return {record, entry_bytes};
}

}  // namespace

Archive Archive::read(std::shared_ptr<const ByteSource> source) {
  Archive archive(std::move(source));
  archive.read_directory();
  archive.check_names();
  return archive;
}

void Archive::read_directory() {
  EndRecord end = find_end_record(*source_);
  if (end.trailing_bytes > 0) notes_.push_back(fmt::format("{} after the archive", plural(end.trailing_bytes, "byte")));
  if (end.records > kMaxRecords || end.directory_bytes > kMaxDirectoryBytes)
    throw Error(Code::limit, "ZP10",
        fmt::format("the directory is too large (has {} records and {} bytes, the limits are {} and {})",
            grouped(end.records), grouped(end.directory_bytes), grouped(kMaxRecords), grouped(kMaxDirectoryBytes)));
  if (end.records > end.directory_bytes / kCentralBytes)
    fail("ZP03",
        fmt::format("the directory is too small (has {} bytes for {} entries)", end.directory_bytes, end.records),
        end.directory_offset);

  Bytes directory = source_->view(end.directory_offset, end.directory_bytes);
  records_.reserve(end.records);
  descriptor_bytes_.reserve(end.records);
  uint64_t at = 0;
  for (uint64_t i = 0; i < end.records; ++i) {
    auto [record, entry_bytes] = read_entry(directory.subspan(at), end.directory_offset + at);
    if (record.header_offset >= end.directory_offset)
      fail("ZP05", fmt::format("record {} is outside the archive", quoted(record.name, 80)), end.directory_offset + at);
    const Local local = source_->is_remote() ? Local{record.header_offset + kLocalBytes + record.name.size(), 0}
                                             : check_local(*source_, record);
    record.data_offset = local.data_offset;
    records_.push_back(record);
    descriptor_bytes_.push_back(local.descriptor_bytes);
    at += entry_bytes;
  }
  if (at != directory.size())
    fail("ZP03", fmt::format("{} bytes follow the last directory entry", directory.size() - at),
        end.directory_offset + at);
  check_places(end.directory_offset);
}

bool Archive::has_descriptor_signature(uint64_t offset, uint64_t max_bytes) const {
  std::array<std::byte, 4> start{};
  source_->read(offset, MutableBytes(start).first(std::min<uint64_t>(max_bytes, start.size())));
  return load<uint32_t>(start, 0) == 0x08074b50;
}

// ZP09: every byte before the directory belongs to at most one record.
void Archive::check_places(uint64_t directory_offset) {
  std::vector<uint32_t> order(records_.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, {}, [&](uint32_t i) { return records_[i].header_offset; });
  uint64_t next = 0, unowned_bytes = 0;
  for (size_t k = 0; k < order.size(); ++k) {
    const uint32_t i = order[k];
    const Record& record = records_[i];
    if (record.header_offset < next)
      fail(
          "ZP09", fmt::format("record {} overlaps the previous record", quoted(record.name, 80)), record.header_offset);
    unowned_bytes += record.header_offset - next;
    if (record.data_offset > directory_offset || record.stored_bytes > directory_offset - record.data_offset)
      fail("ZP09",
          fmt::format("record {} overlaps the directory (have {} bytes, need {})", quoted(record.name, 80),
              directory_offset - std::min(directory_offset, record.data_offset), record.stored_bytes),
          record.header_offset);
    next = record.data_offset + record.stored_bytes;
    // A data descriptor has 12 to 24 bytes; its signature is optional. If the next record begins after a descriptor
    // with signature, as in torch's files, the signature is not read.
    if (descriptor_bytes_[i] > 0) {
      const uint64_t max_bytes = directory_offset - next, signed_bytes = descriptor_bytes_[i] + uint64_t{4};
      const uint64_t following = k + 1 < order.size() ? records_[order[k + 1]].header_offset : directory_offset;
      const bool is_signed = following == next + signed_bytes || has_descriptor_signature(next, max_bytes);
      next += std::min<uint64_t>(max_bytes, is_signed ? signed_bytes : descriptor_bytes_[i]);
    }
  }
  unowned_bytes += directory_offset - std::min(next, directory_offset);
  if (unowned_bytes > 0 && !source_->is_remote())
    notes_.push_back(fmt::format("{} of the archive do not belong to a record", plural(unowned_bytes, "byte")));
  descriptor_bytes_ = {};
}

// ZP02: if two names are equal or differ only in case, readers differ in which record they use.
void Archive::check_names() {
  by_name_.reserve(records_.size());
  for (uint32_t i = 0; i < records_.size(); ++i) by_name_.push_back({folded_hash(records_[i].name), i});
  std::ranges::sort(
      by_name_, [&](const Key& a, const Key& b) { return compare(a, b.hash, records_[b.record].name) < 0; });
  for (size_t i = 1; i < by_name_.size(); ++i) {
    const Record &previous = records_[by_name_[i - 1].record], &record = records_[by_name_[i].record];
    if (compare(by_name_[i - 1], by_name_[i].hash, record.name) == 0)
      fail("ZP02",
          fmt::format("two records have the names {} and {}; readers differ in which of them they use",
              quoted(previous.name, 80), quoted(record.name, 80)),
          record.header_offset);
  }
}

const Record* Archive::find(std::string_view name) const noexcept {
  const uint64_t hash = folded_hash(name);
  auto found = std::ranges::partition_point(by_name_, [&](const Key& key) { return compare(key, hash, name) < 0; });
  if (found == by_name_.end() || compare(*found, hash, name) != 0) return nullptr;
  return &records_[found->record];
}

// Colliding hashes cost only additional comparisons of names.
int Archive::compare(const Key& key, uint64_t hash, std::string_view name) const noexcept {
  if (key.hash != hash) return key.hash < hash ? -1 : 1;
  return compare_folded(records_[key.record].name, name);
}

Archive::Content Archive::content(const Record& record) const {
  if (source_->is_remote() && record.method == Record::Method::stored)
    return {located(source_, record), 0, record.size_bytes};
  if (record.method == Record::Method::stored) return {source_, record.data_offset, record.size_bytes};
  return {inflated(source_, record), 0, record.size_bytes};
}

}  // namespace depickle::zip
