#include "server/hub/content/xorb_hash.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "server/hub/content/shard.h"

namespace depickle::server::content {
namespace {

constexpr size_t kBlockBytes = 64, kBlocks = 16, kPartBytes = kBlockBytes * kBlocks;  // a "chunk" of BLAKE3
constexpr size_t kLanes = 8;
constexpr uint32_t kPartStart = 1, kPartEnd = 2, kParent = 4, kRoot = 8, kKeyed = 16;
constexpr std::array<uint32_t, 4> kInitial = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a};
constexpr std::array<uint8_t, 16> kPermutation = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};

using Words = std::array<uint32_t, 8>;
// Eight parts at once.
using Lanes = uint32_t __attribute__((vector_size(kLanes * sizeof(uint32_t))));

template <typename Word>
struct Block {
  Word chain[8], message[16];
  Word counter, length, flags;
};

// By reference: vectors as values depend on the processor's extensions.
template <typename Word>
void rotate_xor(Word& value, const Word& other, int bits) {
  value ^= other;
  value = (value >> bits) | (value << (32 - bits));
}

template <typename Word>
void mix(Word* v, int a, int b, int c, int d, const Word& x, const Word& y) {
  v[a] += v[b] + x;
  rotate_xor(v[d], v[a], 16);
  v[c] += v[d];
  rotate_xor(v[b], v[c], 12);
  v[a] += v[b] + y;
  rotate_xor(v[d], v[a], 8);
  v[c] += v[d];
  rotate_xor(v[b], v[c], 7);
}

// Replaces the chaining value.
template <typename Word>
void compress(Block<Word>& block) {
  Word v[16], m[16], permuted[16];
  std::copy_n(block.chain, 8, v);
  for (int i = 0; i < 4; ++i) v[8 + i] = Word{} + kInitial[static_cast<size_t>(i)];
  v[12] = block.counter;
  v[13] = Word{};  // a message has less than 2^32 parts
  v[14] = block.length;
  v[15] = block.flags;
  std::copy_n(block.message, 16, m);
  for (int round = 0;; ++round) {
    for (int i = 0; i < 4; ++i) mix(v, i, 4 + i, 8 + i, 12 + i, m[2 * i], m[2 * i + 1]);
    for (int i = 0; i < 4; ++i)
      mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[8 + 2 * i], m[9 + 2 * i]);
    if (round == 6) break;
    for (int i = 0; i < 16; ++i) permuted[i] = m[kPermutation[static_cast<size_t>(i)]];
    std::copy_n(permuted, 16, m);
  }
  for (int i = 0; i < 8; ++i) block.chain[i] = v[i] ^ v[8 + i];
}

Words words_of(const Hash& hash) { return std::bit_cast<Words>(hash); }

Words hash_part(const Words& key, Bytes part, uint32_t counter, uint32_t root) {
  Block<uint32_t> block{};
  std::ranges::copy(key, block.chain);
  block.counter = counter;
  size_t at = 0;
  do {
    const size_t length = std::min(kBlockBytes, part.size() - at);
    std::memset(block.message, 0, sizeof block.message);
    if (length > 0) std::memcpy(block.message, part.data() + at, length);
    block.length = static_cast<uint32_t>(length);
    const bool is_last = at + length == part.size();
    block.flags = kKeyed | (at == 0 ? kPartStart : 0) | (is_last ? kPartEnd | root : 0);
    compress(block);
    at += length;
  } while (at < part.size());
  Words out;
  std::copy_n(block.chain, 8, out.begin());
  return out;
}

void hash_eight_parts(const Words& key, const std::byte* parts, uint32_t counter, Words* out) {
  Block<Lanes> block{};
  for (size_t i = 0; i < 8; ++i) block.chain[i] = Lanes{} + key[i];
  for (size_t lane = 0; lane < kLanes; ++lane) block.counter[lane] = counter + static_cast<uint32_t>(lane);
  block.length = Lanes{} + static_cast<uint32_t>(kBlockBytes);
  for (size_t number = 0; number < kBlocks; ++number) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      uint32_t message[16];
      std::memcpy(message, parts + lane * kPartBytes + number * kBlockBytes, sizeof message);
      for (size_t i = 0; i < 16; ++i) block.message[i][lane] = message[i];
    }
    block.flags = Lanes{} + (kKeyed | (number == 0 ? kPartStart : 0) | (number == kBlocks - 1 ? kPartEnd : 0));
    compress(block);
  }
  for (size_t lane = 0; lane < kLanes; ++lane) {
    for (size_t i = 0; i < 8; ++i) out[lane][i] = block.chain[i][lane];
  }
}

Words parent_of(const Words& key, const Words& left, const Words& right, uint32_t root) {
  Block<uint32_t> block{};
  std::ranges::copy(key, block.chain);
  std::ranges::copy(left, block.message);
  std::ranges::copy(right, block.message + 8);
  block.length = kBlockBytes;
  block.flags = kParent | kKeyed | root;
  compress(block);
  Words out;
  std::copy_n(block.chain, 8, out.begin());
  return out;
}

constexpr Hash key_of(std::string_view digits) {
  Hash key{};
  auto value = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; };
  for (size_t i = 0; i < key.size(); ++i)
    key[i] = static_cast<std::byte>(value(digits[2 * i]) * 16 + value(digits[2 * i + 1]));
  return key;
}

constexpr Hash kChunkKey = key_of("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229");
constexpr Hash kNodeKey = key_of("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f");

// Returns the number of nodes of the group that begins at `begin`: the third to ninth node whose hash is divisible by
// four ends it.
size_t group_size(const std::vector<HashedChunk>& nodes, size_t begin) {
  constexpr size_t kMaxNodes = 9;
  const size_t remaining = nodes.size() - begin, max = std::min(kMaxNodes, remaining);
  for (size_t i = 2; i + 1 < max; ++i) {
    if (load<uint64_t>(nodes[begin + i].hash, 24) % 4 == 0) return i + 1;
  }
  return max;
}

}  // namespace

Hash keyed_blake3(const Hash& key, Bytes data) {
  const Words words = words_of(key);
  if (data.size() <= kPartBytes) return std::bit_cast<Hash>(hash_part(words, data, 0, kRoot));
  std::vector<Words> nodes((data.size() + kPartBytes - 1) / kPartBytes);
  size_t part = 0;
  for (; (part + kLanes) * kPartBytes <= data.size(); part += kLanes)
    hash_eight_parts(words, data.data() + part * kPartBytes, static_cast<uint32_t>(part), &nodes[part]);
  for (; part < nodes.size(); ++part) {
    const size_t begin = part * kPartBytes;
    nodes[part] = hash_part(
        words, data.subspan(begin, std::min(kPartBytes, data.size() - begin)), static_cast<uint32_t>(part), 0);
  }
  while (nodes.size() > 1) {
    size_t count = 0;
    const uint32_t root = nodes.size() == 2 ? kRoot : 0;
    for (size_t i = 0; i + 1 < nodes.size(); i += 2) nodes[count++] = parent_of(words, nodes[i], nodes[i + 1], root);
    if (nodes.size() % 2) nodes[count++] = nodes.back();
    nodes.resize(count);
  }
  return std::bit_cast<Hash>(nodes.front());
}

Hash chunk_hash(Bytes raw) { return keyed_blake3(kChunkKey, raw); }

std::string xorb_hash(std::vector<HashedChunk> nodes) {
  while (nodes.size() > 1) {
    size_t count = 0;
    for (size_t begin = 0; begin < nodes.size();) {
      const size_t end = begin + group_size(nodes, begin);
      std::string children;
      uint64_t raw_bytes = 0;
      for (; begin < end; ++begin) {
        children += fmt::format("{} : {}\n", hash_text(nodes[begin].hash), nodes[begin].raw_bytes);
        raw_bytes += nodes[begin].raw_bytes;
      }
      nodes[count++] = {keyed_blake3(kNodeKey, bytes(children)), raw_bytes};
    }
    nodes.resize(count);
  }
  return nodes.empty() ? std::string() : hash_text(nodes.front().hash);
}

}  // namespace depickle::server::content
