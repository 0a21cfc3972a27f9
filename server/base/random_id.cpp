#include "server/base/random_id.h"

#include <sys/random.h>

#include <cerrno>

#include "depickle/base/error.h"

namespace depickle::server {

std::string random_bytes(size_t length) {
  std::string bytes(length, '\0');
  for (size_t filled = 0; filled < length;) {
    const ssize_t count = ::getrandom(bytes.data() + filled, length - filled, 0);
    if (count < 0 && errno != EINTR) throw system_error(errno, "cannot read random numbers", "");
    if (count > 0) filled += static_cast<size_t>(count);
  }
  return bytes;
}

std::string random_text(std::string_view alphabet, size_t length) {
  // Bytes from the last whole multiple on are skipped: they would make the first characters more likely.
  const size_t end = 256 / alphabet.size() * alphabet.size();
  std::string text;
  while (text.size() < length) {
    for (char random : random_bytes(64)) {
      const auto byte = static_cast<unsigned char>(random);
      if (byte < end && text.size() < length) text += alphabet[byte % alphabet.size()];
    }
  }
  return text;
}

std::string random_hex(size_t length) { return random_text("0123456789abcdef", length); }
std::string random_letters(size_t length) {
  return random_text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", length);
}

}  // namespace depickle::server
