#include <algorithm>
#include <charconv>

#include "fuzz/fuzz.h"
#include "fuzz/mutate.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace depickle::fuzz {
namespace {

// Returns the end of the last tensor, if data_offsets is written without blanks.
size_t data_bytes(std::string_view json) {
  constexpr std::string_view kField = "\"data_offsets\":[";
  constexpr uint64_t kMaxBytes = 8192;
  uint64_t max_end = 0;
  for (size_t at = json.find(kField); at != json.npos; at = json.find(kField, at + 1)) {
    size_t comma = std::min(json.find(',', at + kField.size()), json.size() - 1);
    uint64_t end = 0;
    std::from_chars(json.data() + comma + 1, json.data() + json.size(), end);
    max_end = std::max(max_end, std::min(end, kMaxBytes));
  }
  return max_end;
}

}  // namespace

std::string mutated(std::string part, size_t max_size) {
  size_t size = std::min(part.size(), max_size);
  part.resize(std::max<size_t>(max_size, 1));
  part.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(part.data()), size, part.size()));
  return part;
}

size_t put(const std::string& file, uint8_t* data, size_t max_size) {
  size_t size = std::min(file.size(), max_size);
  std::copy_n(file.begin(), size, data);
  return size;
}

size_t mutate_safetensors(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  Choices choices(seed);
  std::string_view file = text(input(data, size));
  uint64_t length = size < 8 ? 0 : load<uint64_t>(input(data, size), 0);
  if (size < 8 || length > size - 8 || max_size < 16 || choices.one_in(6))
    return LLVMFuzzerMutate(data, size, max_size);

  std::string json(file.substr(8, length)), content(file.substr(8 + length));
  const size_t room = std::min<size_t>(max_size - 8, size + 256);
  if (choices.one_in(5)) {
    content = mutated(std::move(content), room);
  } else {
    json = mutated(std::move(json), room);
  }
  if (!choices.one_in(5)) content.resize(data_bytes(json), 'x');
  length = json.size() + (choices.one_in(32) ? choices.below(3) : 0);
  return put(std::string(reinterpret_cast<const char*>(&length), 8) + json + content, data, max_size);
}

}  // namespace depickle::fuzz
