// The header of a safetensors file: which tensors there are, and where their bytes lie.
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

/// The length at the start of a file.
inline constexpr uint64_t kLengthBytes = 8;
/// The key under which a header keeps its metadata.
inline constexpr std::string_view kMetadataKey = "__metadata__";
/// A header's JSON may have this many bytes, padding included.
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;

/// Which files are accepted. Repeated tensor names are refused by both: which of the two would be meant?
enum class Mode {
  reference,  ///< just what the reference library 0.8 accepts
  strict,     ///< only what the letter of the format allows (rules ST18 to ST23)
};

/// One tensor. Name and shape belong to the Header.
struct Entry {
  std::string_view name;            ///< UTF-8; any text, NUL included
  std::span<const uint64_t> shape;  ///< elements; empty for a scalar
  uint64_t begin;                   ///< bytes from the start of the data section
  uint64_t end;                     ///< one past the last byte
  Dtype dtype;

  uint64_t size_bytes() const noexcept { return end - begin; }
};

/// A table of entries; a header of 100 MB may list millions.
using Entries = std::vector<Entry, LargeAllocator<Entry>>;

/// A Header that exists is valid: the tensors' names are unique, they tile the data section without gap or overlap, and each
/// is as long as its dtype and shape say. It owns all that it hands out, and moving it does not move that. Reading it from
/// several threads is safe.
class Header {
 public:
  /// From the JSON (the N bytes after the length) and the size of the data section behind it. O(n) in practice, O(n log n)
  /// where the tensors are not listed in the order of their bytes.
  /// Throws Error{malformed, truncated, limit} naming the rule, the tensor, and the place in the file.
  static Header parse(Bytes json, uint64_t data_bytes, Mode mode = Mode::reference);

  /// From a whole file, of which only the header's bytes are touched. Errors name the file too, and say what it seems to be
  /// where it is something else: a git-LFS pointer, a web page, a zip, a pickle …
  static Header read(const ByteSource& file, Mode mode = Mode::reference);

  /// Sorted by place; empty tensors at one place stand as the header lists them.
  std::span<const Entry> entries() const noexcept { return entries_; }
  /// nullptr where there is none. O(1).
  const Entry* find(std::string_view name) const noexcept;

  /// In the order of the file. Where the reference mode meets a key twice, the last one counts.
  const Metadata& metadata() const noexcept { return metadata_; }
  /// Whether there is a `__metadata__` at all; it may be empty. (`null` counts as none.)
  bool has_metadata() const noexcept { return has_metadata_; }

  /// Where the data section begins, in bytes from the start of the file.
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
