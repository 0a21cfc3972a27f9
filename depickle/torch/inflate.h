// Content that does not lie in the file as it is: made on first use, kept off the heap.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "depickle/base/source.h"

namespace depickle::torch {

struct Record;

/// Bytes that are computed once, when first asked for: in memory up to 1 MiB, beyond that in a nameless temporary file
/// that is mapped, so that anonymous memory stays small whatever the size.
class ComputedSource final : public ByteSource {
 public:
  using Sink = std::function<void(Bytes)>;
  /// `fill` hands over exactly `size_bytes` bytes, in pieces; more or fewer are Error{malformed} (ZP11).
  ComputedSource(std::string name, uint64_t size_bytes, std::function<void(const Sink&)> fill);
  ~ComputedSource() override;

  uint64_t size_bytes() const noexcept override { return size_bytes_; }

 private:
  Bytes do_view(uint64_t offset, uint64_t length) const override;
  void compute() const;

  uint64_t size_bytes_;
  mutable std::function<void(const Sink&)> fill_;
  mutable std::once_flag once_;
  mutable std::unique_ptr<std::byte[]> heap_;
  mutable std::byte* data_ = nullptr;
  mutable uint64_t mapped_bytes_ = 0;
};

/// The content of a deflated record (RFC 1951), of exactly record.size_bytes.
std::shared_ptr<const ByteSource> inflated(std::shared_ptr<const ByteSource> archive, const Record& record);

/// As much as can be inflated of a deflate stream that begins here, at most `most_bytes`: for looking into damaged archives.
std::vector<std::byte> inflate_prefix(Bytes deflated, uint64_t most_bytes);

/// Bytes that a pickle of protocol 2 spells as `_codecs.encode(text, "latin1")`: each character is a byte. `text` is UTF-8
/// and lives as long as `owner`. Throws Error{malformed} (PK05) where a character is beyond U+00FF.
std::shared_ptr<const ByteSource> latin1_bytes(
    std::string name, std::string_view text, std::shared_ptr<const void> owner);

}  // namespace depickle::torch
