#include "depickle/formats/safetensors/name_table.h"

#include <bit>
#include <cstring>
#include <random>
#include <stdexcept>

#include <fmt/format.h>

#include "depickle/base/error.h"

namespace depickle::safetensors {
namespace {

struct Secret {
  uint64_t first, second;
};

const Secret& secret() {
  static const Secret kSecret = [] {
    try {
      std::random_device random;
      auto random64 = [&] { return static_cast<uint64_t>(random()) << 32 | random(); };
      return Secret{random64(), random64() | 1};
    } catch (const std::runtime_error& error) {
      throw Error(Code::io, "", fmt::format("cannot read random numbers: {}", error.what()));
    }
  }();
  return kSecret;
}

uint64_t load8(const char* at) {
  uint64_t value;
  std::memcpy(&value, at, 8);
  return value;
}

uint64_t fold(uint64_t a, uint64_t b) {
  auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

NameTable::NameTable(uint32_t count)
    : slots_(std::bit_ceil(uint64_t{count} + count / 2 + 1)),
      mask_(slots_.size() - 1) {}

uint64_t NameTable::hash(std::string_view name) {
  const Secret& key = secret();
  uint64_t state = fold(name.size() ^ key.first, key.second);
  const char* at = name.data();
  size_t rest_bytes = name.size();
  for (; rest_bytes > 16; at += 16, rest_bytes -= 16) state = fold(load8(at) ^ key.first, load8(at + 8) ^ state);
  char short_name[16] = {};
  if (name.size() < 16) {
    std::memcpy(short_name, at, rest_bytes);
    at = short_name;
  } else {
    at -= 16 - rest_bytes;  // the last 16 bytes; some of them are hashed twice
  }
  return fold(fold(load8(at) ^ key.first, load8(at + 8) ^ state), key.second);
}

}  // namespace depickle::safetensors
