#include "server/hub/store/digits.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

#include "depickle/base/error.h"

namespace depickle::server {
namespace {

std::string random_of(std::string_view alphabet, size_t count) {
  std::string text;
  while (text.size() < count) {
    unsigned char numbers[64];
    if (::getrandom(numbers, sizeof numbers, 0) != sizeof numbers) throw system_error(errno, "no random numbers", "");
    // Numbers past the last whole multiple would favour the first letters.
    for (unsigned char number : numbers) {
      if (number < 256 / alphabet.size() * alphabet.size() && text.size() < count)
        text += alphabet[number % alphabet.size()];
    }
  }
  return text;
}

}  // namespace

bool is_hex(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string random_hex(size_t digits) { return random_of("0123456789abcdef", digits); }
std::string random_letters(size_t count) {
  return random_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", count);
}

}  // namespace depickle::server
