// The header of a safetensors file: the table of its tensors and the places of their bytes.
//
//   byte 0          8               data_begin = 8 + N           file size
//        ├─ N, u64 ─┼─ JSON, N bytes ─┼─ a ─┼─ b ─┼────── c ──────┤
//                                     └ begin and end count from here
//
// Rules ST01 to ST23 of docs/formats/safetensors.md.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "depickle/base/arena.h"
#include "depickle/base/bytes.h"
#include "depickle/base/dtype.h"
#include "depickle/base/large_memory.h"
#include "depickle/base/source.h"
#include "depickle/formats/safetensors/name_table.h"

namespace depickle::safetensors {

/// Keys and values of `__metadata__`, both UTF-8.
using Metadata = std::vector<std::pair<std::string, std::string>>;

/// Size of the length field at the start of a file.
inline constexpr uint64_t kLengthBytes = 8;
/// The header's key for metadata.
inline constexpr std::string_view kMetadataKey = "__metadata__";
/// Maximum size of a header's JSON, padding included.
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;

/// Which files are accepted. Both modes refuse repeated tensor names, because readers differ in which tensor they use.
enum class Mode {
  reference,  ///< accepts what the reference library 0.8 accepts, except repeated names
  strict,     ///< accepts only what the format's README allows (rules ST18 to ST23)
};

/// One tensor. The Header owns the name and the shape.
struct Entry {
  std::string_view name;            ///< UTF-8; any text, NUL included
  std::span<const uint64_t> shape;  ///< elements; empty for a scalar
  uint64_t begin;                   ///< bytes from the start of the data section
  uint64_t end;                     ///< one past the last byte
  Dtype dtype;

  uint64_t size_bytes() const noexcept { return end - begin; }
};

/// A table of entries. A header of 100 MB can contain millions.
using Entries = std::vector<Entry, LargeAllocator<Entry>>;

/// A valid header: names are unique, the tensors cover the data section without gap or overlap, and each has the size
/// that its dtype and shape need. It owns everything that it returns; moving it does not invalidate what was returned.
/// Safe to read from several threads.
class Header {
 public:
  /// Parses the JSON (the N bytes after the length). `data_bytes` is the size of the data section. O(n) if the tensors
  /// are listed in the order of their bytes, else O(n log n). Throws Error{malformed, truncated, limit} with the rule,
  /// the tensor and the offset in the file.
  static Header parse(Bytes json, uint64_t data_bytes, Mode mode = Mode::reference);

  /// Parses the header of a whole file; reads the header's bytes only. Errors also contain the file's name, and its
  /// format if it is not safetensors: a git-LFS pointer, a web page, a zip archive, a pickle …
  static Header read(const ByteSource& file, Mode mode = Mode::reference);

  /// Sorted by place; empty tensors at the same place are in the header's order.
  std::span<const Entry> entries() const noexcept { return entries_; }
  /// Returns the entry with this name, or nullptr. O(1).
  const Entry* find(std::string_view name) const noexcept;

  /// In the order of the file. In reference mode the last value of a repeated key is used.
  const Metadata& metadata() const noexcept { return metadata_; }
  /// Whether the header has a `__metadata__` object, which may be empty. `null` means no metadata.
  bool has_metadata() const noexcept { return has_metadata_; }

  /// Offset of the data section from the start of the file.
  uint64_t data_begin() const noexcept { return data_begin_; }

 private:
  Header() = default;

  Arena arena_;
  Entries entries_;
  NameTable names_;
  Metadata metadata_;
  bool has_metadata_ = false;
  uint64_t data_begin_ = 0;
};

}  // namespace depickle::safetensors
