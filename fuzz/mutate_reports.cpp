#include <algorithm>
#include <vector>

#include "fuzz/fuzz.h"
#include "fuzz/mutate.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace depickle::fuzz {
namespace {

constexpr size_t kMaxMessages = 16;

std::vector<std::string> messages_of(std::string_view input) {
  std::vector<std::string> messages;
  while (input.size() > 2) {
    const size_t size = std::min<size_t>(load<uint16_t>(std::as_bytes(std::span(input)), 0), input.size() - 2);
    messages.emplace_back(input.substr(2, size));
    input.remove_prefix(2 + size);
  }
  return messages;
}

// Mutates what follows a number that may be a length, and corrects the number.
std::string mutated_message(const std::string& message, size_t room, Choices& choices) {
  std::vector<size_t> offsets;
  const Bytes bytes = std::as_bytes(std::span(message));
  for (size_t at = 1; at + 8 <= message.size(); ++at)
    if (load<uint64_t>(bytes, at) <= message.size() - at - 8) offsets.push_back(at);
  if (offsets.empty() || choices.one_in(3)) return mutated(message, message.size() + room);
  const size_t at = offsets[choices.below(offsets.size())];
  const uint64_t length = load<uint64_t>(bytes, at);
  const std::string part = mutated(message.substr(at + 8, length), length + room);
  const uint64_t new_length = part.size();
  return message.substr(0, at) + std::string(reinterpret_cast<const char*>(&new_length), 8) + part +
         message.substr(at + 8 + length);
}

}  // namespace

size_t mutate_reports(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  Choices choices(seed);
  if (size < 4 || choices.one_in(6)) return LLVMFuzzerMutate(data, size, max_size);
  const std::string_view file = text(input(data, size));
  std::vector<std::string> messages = messages_of(file.substr(1));
  const size_t at = choices.below(messages.size());
  const auto message = messages.begin() + static_cast<std::ptrdiff_t>(at);
  if (choices.one_in(8) && messages.size() > 1)
    messages.erase(message);
  else if (choices.one_in(8) && messages.size() < kMaxMessages)
    messages.insert(message, messages[choices.below(messages.size())]);
  else
    *message = mutated_message(*message, std::min<size_t>(max_size, 128), choices);
  std::string out(1, choices.one_in(8) ? static_cast<char>(choices.below(5)) : file[0]);
  for (const std::string& each : messages) {
    const auto length = static_cast<uint16_t>(std::min<size_t>(each.size(), UINT16_MAX));
    out += std::string(reinterpret_cast<const char*>(&length), 2) + each.substr(0, length);
  }
  return put(out, data, max_size);
}

}  // namespace depickle::fuzz
