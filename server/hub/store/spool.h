// Content of a file that came in the body of a commit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "depickle/base/bytes.h"

namespace depickle::server {

/// Collects bytes: the first 64 KiB in memory, the rest in a temporary of the store that vanishes with the Spool.
class Spool {
 public:
  /// `folder`: where the temporary goes, on the disk of the store (Store::spool).
  Spool(std::filesystem::path folder, uint64_t most_bytes);
  ~Spool();
  Spool(Spool&&) noexcept;
  Spool& operator=(Spool&&) noexcept;

  /// Throws Refusal{too_large} beyond `most_bytes`, Error{io}.
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
