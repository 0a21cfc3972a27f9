// Random access to bytes: in memory here; mapped files, inflated records and files on the Hub are in other modules.
#pragma once

#include <memory>
#include <string>

#include "depickle/base/bytes.h"

namespace depickle {

/// A sequence of bytes of known size with random access. Implementations are thread-safe.
class ByteSource {
 public:
  explicit ByteSource(std::string name) : name_(std::move(name)) {}
  virtual ~ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  /// The name in errors: the path or address as the user gave it.
  const std::string& name() const noexcept { return name_; }
  virtual uint64_t size_bytes() const noexcept = 0;

  /// Returns bytes [offset, offset + length), valid as long as the source; not copied if the source is in memory or
  /// mapped. Throws Error{truncated} if the range exceeds the source, also if offset + length overflows.
  Bytes view(uint64_t offset, uint64_t length) const;
  Bytes all() const { return view(0, size_bytes()); }
  /// Copies bytes. For small parts of a large file, where each view() needs a page fault, which costs ten times a small
  /// read.
  void read(uint64_t offset, MutableBytes out) const;

  /// Whether this is the file that the user named, so that offsets are meaningful to the user.
  virtual bool is_file() const noexcept { return false; }
  /// Whether each access needs a round trip (a file on the Hub). Readers then access only what is necessary, and use
  /// read() for bytes that they need once, because view() may keep the bytes in memory.
  virtual bool is_remote() const noexcept { return false; }
  /// Throws Error{integrity} if the bytes are known to have changed since the source was opened.
  virtual void check_unchanged() const {}

 private:
  /// The range has been checked.
  virtual Bytes do_view(uint64_t offset, uint64_t length) const = 0;
  virtual void do_read(uint64_t offset, MutableBytes out) const;
  void check_range(uint64_t offset, uint64_t length) const;
  std::string name_;
};

/// Bytes in memory. The caller keeps them alive, or `owner` does.
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
