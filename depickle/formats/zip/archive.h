// The directory of a zip archive.
//
//   record 0: local header │ name │ extra │ payload │ (data descriptor)
//   record 1 …
//   central directory: one entry per record  ◄── the only source of sizes, methods and places
//   (zip64 end record, zip64 locator)
//   end record
//
// Rules ZP01 to ZP12 of docs/formats/torch.md. A file that two readers could see differently is refused.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/source.h"

namespace depickle::zip {

/// One record. The archive owns the name.
struct Record {
  enum class Method : uint16_t { stored = 0, deflated = 8 };

  std::string_view name;
  uint64_t header_offset;  ///< offset of the local header
  uint64_t data_offset;    ///< offset of the payload; the minimum in a remote archive
  uint64_t stored_bytes;   ///< of the payload in the file
  uint64_t size_bytes;     ///< of the content
  uint32_t crc;            ///< CRC-32 of the content; 0 if the writer did not compute it
  uint16_t flags;          ///< of the directory
  Method method;
};

/// The records of a valid archive, in the directory's order: the local headers agree with the directory, records do not
/// overlap, and no two names differ only in case. In a remote archive a local header is checked when the record's
/// content is first read, because each needs a round trip.
class Archive {
 public:
  /// Reads the directory, and the local headers unless the archive is remote. Memory: 56 bytes per record.
  /// Throws Error{malformed, truncated, unsupported, limit}.
  static Archive read(std::shared_ptr<const ByteSource> source);

  const ByteSource& source() const noexcept { return *source_; }
  const std::vector<Record>& records() const noexcept { return records_; }
  /// Returns the record with this name, compared without ASCII case as in torch, or nullptr. O(log n).
  const Record* find(std::string_view name) const noexcept;
  /// Remarks about the archive: bytes that do not belong to a record, bytes after the end.
  const std::vector<std::string>& notes() const noexcept { return notes_; }

  /// The content of a record: bytes [offset_bytes, offset_bytes + size_bytes) of `source`, which is the archive if the
  /// record is stored. A deflated record is inflated on first use.
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
  bool has_descriptor_signature(uint64_t offset, uint64_t max_bytes) const;
  void check_names();

  std::shared_ptr<const ByteSource> source_;
  std::vector<Record> records_;
  /// Sorted by hash, so most comparisons are of two numbers. Names are hashed without ASCII case.
  struct Key {
    uint64_t hash;
    uint32_t record;
  };
  int compare(const Key& key, uint64_t hash, std::string_view name) const noexcept;
  std::vector<Key> by_name_;
  /// Size of the data descriptor after each payload, without its signature; 0 if there is none.
  std::vector<uint8_t> descriptor_bytes_;
  std::vector<std::string> notes_;
};

}  // namespace depickle::zip
