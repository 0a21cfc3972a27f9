// Content of a file that came in the body of a commit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "depickle/base/bytes.h"

namespace depickle::server {

/// Collects bytes in a temporary of the store, which vanishes with the last Spool in it. Nothing of them stays in memory: one commit
/// may bring 25,000 files, and has neither the memory nor the descriptors for a buffer or a file each.
class Spool {
 public:
  /// `folder`: where the temporary goes, on the disk of the store (Store::spool).
  Spool(std::filesystem::path folder, uint64_t max_bytes);
  /// An empty one in the same temporary, behind all that is there. From then on only that one may be appended to.
  Spool following() const;
  ~Spool();
  Spool(Spool&&) noexcept;
  Spool& operator=(Spool&&) noexcept;

  /// Throws StoreError{too_large} beyond `max_bytes`, Error{io}.
  void append(Bytes bytes);
  uint64_t size_bytes() const noexcept;

  /// Calls `take` with all of it, in pieces of at most 1 MiB.
  template <typename Take>
  void each_piece(Take take) const {
    std::string buffer;
    for (uint64_t offset = 0; offset < size_bytes();) {
      Bytes piece = read(offset, buffer);
      take(piece);
      offset += piece.size();
    }
  }
  /// All of it; for what is known to be small.
  std::string all() const;

 private:
  Bytes read(uint64_t offset, std::string& buffer) const;
  struct Body;
  std::unique_ptr<Body> body_;
};

}  // namespace depickle::server
