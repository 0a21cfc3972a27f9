// The two hashes that identify content on a Hub.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "depickle/base/bytes.h"

namespace depickle::hub {

/// Returns whether `etag` is a hash of the content: 40 or 64 lowercase hexadecimal digits.
bool is_content_hash(std::string_view etag) noexcept;

/// Computes the hash of the same kind as `etag`: SHA-256 of the bytes (64 digits) or the SHA-1 of git's blob (40
/// digits), which also covers the size.
class ContentHash {
 public:
  ContentHash(std::string_view etag, uint64_t size_bytes);
  void update(Bytes bytes);
  /// Returns the digest in lowercase hexadecimal digits. No update() may follow.
  std::string hex();

 private:
  struct Free {
    void operator()(void* context) const noexcept;
  };
  std::unique_ptr<void, Free> context_;
};

}  // namespace depickle::hub
