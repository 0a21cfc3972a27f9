// The calls of depickle that the benchmarks measure in the process of the peers: plain functions for Python's ctypes.
#include <chrono>
#include <cstdint>
#include <cstring>
#include <string>

#include "depickle/base/dtype.h"
#include "depickle/hub/commit.h"
#include "depickle/weights/weights.h"

namespace {

using namespace depickle;

// Uses every field, so that no part of the table can be optimized away.
uint64_t digest(const Weights& weights) {
  uint64_t sum = 0;
  for (const Tensor& tensor : weights.tensors()) {
    sum = sum * 31 + tensor.name.size() + static_cast<uint64_t>(tensor.name.back()) + tensor.size_bytes +
          tensor.offset_bytes + static_cast<uint64_t>(tensor.dtype);
    for (uint64_t size : tensor.shape) sum = sum * 31 + size;
  }
  return sum;
}

uint64_t sum_of_words(const std::byte* data, uint64_t size_bytes) {
  uint64_t sum = 0;
  for (uint64_t at = 0; at + 8 <= size_bytes; at += 8) {
    uint64_t word;
    std::memcpy(&word, data + at, 8);
    sum += word;
  }
  return sum;
}

// "NAME DTYPE 2,3\n" for each tensor.
std::string table_text(const Weights& weights) {
  std::string text;
  for (const Tensor& tensor : weights.tensors()) {
    text.append(tensor.name).append(" ").append(name(tensor.dtype)).append(" ");
    for (size_t i = 0; i < tensor.shape.size(); ++i) text.append(i ? "," : "").append(std::to_string(tensor.shape[i]));
    text.append("\n");
  }
  return text;
}

}  // namespace

extern "C" {

/// Opens the file `times` times, reads its table and closes it. Returns the seconds for one, or -1 on an error.
/// Writes the digest of the table to `*digested`.
double bench_open(const char* path, uint64_t times, uint64_t* digested) try {
  const auto start = std::chrono::steady_clock::now();
  for (uint64_t i = 0; i < times; ++i) *digested = digest(depickle::open(path));
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / static_cast<double>(times);
} catch (...) {
  return -1;
}

/// Writes the sum of the 8-byte words of all tensors, which must be contiguous. Returns the seconds.
double bench_open_and_sum(const char* path, uint64_t* sum) try {
  const auto start = std::chrono::steady_clock::now();
  {
    Weights weights = depickle::open(path);
    *sum = 0;
    for (const Tensor& tensor : weights.tensors()) {
      Bytes bytes = weights.view(tensor);
      *sum += sum_of_words(bytes.data(), bytes.size());
    }
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
} catch (...) {
  return -1;
}

/// Returns the same sum for memory of a peer.
uint64_t bench_sum(const void* data, uint64_t size_bytes) {
  return sum_of_words(static_cast<const std::byte*>(data), size_bytes);
}

/// Returns the sum of every 4096th byte and the last byte: touches every page, and little else.
uint64_t bench_touch(const void* data, uint64_t size_bytes) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  uint64_t sum = size_bytes ? bytes[size_bytes - 1] : 0;
  for (uint64_t at = 0; at < size_bytes; at += 4096) sum += bytes[at];
  return sum;
}

/// Writes the table as text, up to `capacity` bytes. Returns the size of the whole text, or 0 on an error.
uint64_t bench_table(const char* path, char* out, uint64_t capacity) try {
  const std::string text = table_text(depickle::open(path));
  std::memcpy(out, text.data(), std::min<uint64_t>(text.size(), capacity));
  return text.size();
} catch (...) {
  return 0;
}

/// Uploads the file to the main branch of the repository. Returns 0 on success.
int bench_upload(const char* endpoint, const char* token, const char* path, const char* repo, const char* name) try {
  hub::Settings settings;
  settings.endpoint = endpoint;
  settings.token = token;
  const hub::CommitRequest request{.title = "upload", .additions = {{name, std::filesystem::path(path)}}};
  hub::commit(hub::Client(std::move(settings)), hub::RepoId::parse(repo), "main", request);
  return 0;
} catch (...) {
  return 1;
}
}
