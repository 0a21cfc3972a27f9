// Shared by the fuzz targets. A property violation aborts the program, as a sanitizer does.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "depickle/base/error.h"
#include "depickle/base/source.h"

namespace depickle::fuzz {

/// Aborts the program if `is_true` is false; libFuzzer then saves the input. `property` describes the condition.
inline void require(bool is_true, std::string_view property) {
  if (is_true) return;
  std::fprintf(stderr, "violated property: %.*s\n", static_cast<int>(property.size()), property.data());
  std::abort();
}

/// Returns whether `action` succeeds. Returns false for an Error, whose text must be printable, and for std::bad_alloc.
/// libFuzzer reports other exceptions as bugs.
template <typename Action>
bool accepts(Action&& action) {
  try {
    action();
    return true;
  } catch (const Error& error) {
    std::string_view text = error.what();
    for (unsigned char c : text) require(c >= 0x20 && c != 0x7f, "the text of an error contains no control characters");
    require(!error.message().empty(), "an error has a message");
  } catch (const std::bad_alloc&) {
  }
  return false;
}

inline Bytes input(const uint8_t* data, size_t size) { return std::as_bytes(std::span(data, size)); }

/// Returns the input as a file in memory.
inline std::shared_ptr<const ByteSource> input_file(Bytes bytes) {
  return std::make_shared<MemorySource>("input", bytes);
}

/// Pseudorandom numbers that depend only on the input.
class Choices {
 public:
  explicit Choices(Bytes seed) {
    for (std::byte byte : seed) state_ = (state_ ^ std::to_integer<uint64_t>(byte)) * 0x100000001b3;
  }
  explicit Choices(unsigned seed) : state_(seed * 0x9e3779b97f4a7c15) {}
  /// Returns a number from 0 to `count` - 1. `count` is not 0.
  uint64_t below(uint64_t count) {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return (state_ >> 33) % count;
  }
  bool one_in(uint64_t count) { return below(count) == 0; }

 private:
  uint64_t state_ = 0xcbf29ce484222325;
};

}  // namespace depickle::fuzz
