// The two hashes by which a Hub names content.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "depickle/base/bytes.h"

namespace depickle::hub {

/// Whether `etag` is a hash of the content: 40 or 64 hexadecimal digits in lower case.
bool is_content_hash(std::string_view etag) noexcept;

/// SHA-256 of the bytes (64 digits), or git's SHA-1 of the blob (40), whichever `etag` is. For the latter the size comes first.
class ContentHash {
 public:
  ContentHash(std::string_view etag, uint64_t size_bytes);
  void update(Bytes bytes);
  /// Hexadecimal, in lower case. Ends the computation.
  std::string hex();

 private:
  struct Free {
    void operator()(void* context) const noexcept;
  };
  std::unique_ptr<void, Free> context_;
};

}  // namespace depickle::hub
