// What the fuzz targets share: a promise that is broken ends the program, as a sanitizer would.
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

/// Ends the program where `kept` is false; libFuzzer saves the input.
inline void promise(bool kept, std::string_view what) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

/// Whether `action` ends well. A refusal is an answer, and its text must be fit to print; any other exception goes on to libFuzzer.
template <typename Action>
bool accepts(Action&& action) {
  try {
    action();
    return true;
  } catch (const Error& error) {
    std::string_view text = error.what();
    for (unsigned char c : text) promise(c >= 0x20 && c != 0x7f, "an error's text holds no control characters");
    promise(!error.message().empty(), "an error says what is wrong");
  } catch (const std::bad_alloc&) {
  }
  return false;
}

inline Bytes input(const uint8_t* data, size_t size) { return std::as_bytes(std::span(data, size)); }

/// The input as a file in memory.
inline std::shared_ptr<const ByteSource> input_file(Bytes bytes) {
  return std::make_shared<MemorySource>("input", bytes);
}

/// Numbers that follow from the input alone, for choices that are no part of it.
class Choices {
 public:
  explicit Choices(Bytes seed) {
    for (std::byte byte : seed) state_ = (state_ ^ std::to_integer<uint64_t>(byte)) * 0x100000001b3;
  }
  explicit Choices(unsigned seed) : state_(seed * 0x9e3779b97f4a7c15) {}
  /// From 0 to `count` - 1; `count` is not 0.
  uint64_t below(uint64_t count) {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return (state_ >> 33) % count;
  }
  bool one_in(uint64_t count) { return below(count) == 0; }

 private:
  uint64_t state_ = 0xcbf29ce484222325;
};

}  // namespace depickle::fuzz
