// Where bytes come from: memory, and (elsewhere) a mapped file, an inflated record or a file on the Hub.
#pragma once

#include <memory>
#include <string>

#include "depickle/base/bytes.h"

namespace depickle {

/// Random access to bytes of known size. Implementations are safe to read from several threads.
class ByteSource {
 public:
  explicit ByteSource(std::string name) : name_(std::move(name)) {}
  virtual ~ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  /// What errors call it: the path or address as the user gave it.
  const std::string& name() const noexcept { return name_; }
  virtual uint64_t size_bytes() const noexcept = 0;

  /// Bytes [offset, offset + length), not copied where the source can help it; valid as long as the source.
  /// Throws Error{truncated} where they end past the source, whatever the sum of the two numbers is.
  Bytes view(uint64_t offset, uint64_t length) const;
  Bytes all() const { return view(0, size_bytes()); }
  /// The same bytes copied: for a few here and there in a large file, where view() costs a page fault each, ten times a small read.
  void read(uint64_t offset, MutableBytes out) const;

  /// Whether the bytes lie in the file that the user named, so that offsets mean something to them.
  virtual bool is_file() const noexcept { return false; }
  /// Whether a look costs a round trip (a file on the Hub): readers then look only where they must, and copy with read()
  /// what they need once, since view() may have to keep what it returns.
  virtual bool is_remote() const noexcept { return false; }
  /// Throws Error{integrity} where the bytes are known to be no longer what they were: what was read before may not be
  /// what was read after.
  virtual void check_unchanged() const {}

 private:
  /// The bytes asked for lie inside.
  virtual Bytes do_view(uint64_t offset, uint64_t length) const = 0;
  virtual void do_read(uint64_t offset, MutableBytes out) const;
  void check_range(uint64_t offset, uint64_t length) const;
  std::string name_;
};

/// Bytes that somebody else keeps alive, or that `owner` does.
class MemorySource final : public ByteSource {
 public:
  MemorySource(std::string name, Bytes bytes, std::shared_ptr<const void> owner = nullptr)
      : ByteSource(std::move(name)),
        bytes_(bytes),
        owner_(std::move(owner)) {}
  uint64_t size_bytes() const noexcept override { return bytes_.size(); }

 private:
  Bytes do_view(uint64_t offset, uint64_t length) const override { return bytes_.subspan(offset, length); }
  Bytes bytes_;
  std::shared_ptr<const void> owner_;
};

}  // namespace depickle
