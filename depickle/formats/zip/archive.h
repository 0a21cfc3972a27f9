// The directory of a zip archive, as torch writes it and as strictly as its readers disagree about it.
//
//   record 0: local header │ name │ extra │ payload │ (data descriptor)
//   record 1 …
//   central directory: one entry a record  ◄── the only source of sizes, methods and places
//   (zip64 end record, zip64 locator)
//   end record
//
// Rules ZP01 to ZP12 of docs/formats/torch.md. Where two readers could see different files, this one sees none.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/source.h"

namespace depickle::zip {

/// One record. The name points into the archive.
struct Record {
  enum class Method : uint16_t { stored = 0, deflated = 8 };

  std::string_view name;
  uint64_t header_bytes;  ///< offset of the local header
  uint64_t data_offset;   ///< offset of the payload; in a distant archive the least that it can be
  uint64_t stored_bytes;  ///< of the payload in the file
  uint64_t size_bytes;    ///< of the content
  uint32_t crc;           ///< CRC-32 of the content; 0 where the writer did not compute it
  uint16_t flags;         ///< the directory's
  Method method;
};

/// The records of an archive, in the directory's order. One that exists has passed every cross-check of directory against
/// local headers: names, methods, flags, sizes, places; nothing overlaps, nothing has two names that differ only in case.
/// In a distant archive a record's local header is checked when its content is first read: each costs a round trip.
class Archive {
 public:
  /// Reads the directory and every local header (not of a distant archive). Memory: 56 bytes a record. Throws Error{malformed, truncated, unsupported, limit}.
  static Archive read(std::shared_ptr<const ByteSource> source);

  const std::vector<Record>& records() const noexcept { return records_; }
  /// By exact name, else by the name that differs only in ASCII case (as torch looks up). O(log n). nullptr where there is none.
  const Record* find(std::string_view name) const noexcept;
  /// What a careful reader should know: bytes that belong to no record, bytes behind the end.
  const std::vector<std::string>& notes() const noexcept { return notes_; }

  /// The record's content: a piece of the archive where it is stored, inflated on first use where it is deflated.
  /// The piece is [offset, offset + size) of the returned source.
  struct Content {
    std::shared_ptr<const ByteSource> source;
    uint64_t offset_bytes;
    uint64_t size_bytes;
    Bytes bytes() const { return source->view(offset_bytes, size_bytes); }
  };
  Content content(const Record& record) const;

 private:
  explicit Archive(std::shared_ptr<const ByteSource> source) : source_(std::move(source)) {}
  void read_directory();
  void check_places(uint64_t directory_offset);
  bool begins_with_signature(uint64_t offset, uint64_t room) const;  ///< of a data descriptor
  void check_names();

  std::shared_ptr<const ByteSource> source_;
  std::vector<Record> records_;
  /// Names without regard to ASCII case, by their hash: most comparisons are of two numbers.
  struct Key {
    uint64_t hash;
    uint32_t record;
  };
  int compare(const Key& key, uint64_t hash, std::string_view name) const noexcept;
  std::vector<Key> by_name_;
  std::vector<uint8_t>
      described_bytes_;  ///< of the data descriptor behind each payload, less its signature; 0 where there is none
  std::vector<std::string> notes_;
};

}  // namespace depickle::zip
