#include "server/hub/api/base64.h"

#include <array>

namespace depickle::server::api {
namespace {

constexpr uint8_t kInvalid = 0xff;

constexpr std::array<uint8_t, 256> kValues = [] {
  std::array<uint8_t, 256> values{};
  values.fill(kInvalid);
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < kAlphabet.size(); ++i) values[static_cast<uint8_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
  return values;
}();

uint32_t value(char c) { return kValues[static_cast<uint8_t>(c)]; }

}  // namespace

bool Base64Decoder::put(std::string_view text, std::string& out) {
  size_t start = out.size(), i = 0;
  out.resize(start + text.size() / 4 * 3 + 6);
  char* to = out.data() + start;
  bool is_valid = true;
  while (i < text.size() && is_valid) {
    // The fast path: a whole group without padding.
    if (count_ == 0 && padding_ == 0 && text.size() - i >= 4) {
      uint32_t a = value(text[i]), b = value(text[i + 1]), c = value(text[i + 2]), d = value(text[i + 3]);
      if (((a | b | c | d) & 0xc0) == 0) {
        uint32_t bits = a << 18 | b << 12 | c << 6 | d;
        *to++ = static_cast<char>(bits >> 16);
        *to++ = static_cast<char>(bits >> 8);
        *to++ = static_cast<char>(bits);
        i += 4;
        continue;
      }
    }
    char c = text[i++];
    bool is_padding = c == '=' && count_ >= 2;
    if (!is_padding && (value(c) == kInvalid || padding_ > 0)) is_valid = false;
    group_ = group_ << 6 | (is_padding ? 0 : value(c) & 0x3f);
    padding_ += is_padding;
    if (++count_ < 4) continue;
    for (int byte = 0; byte < 3 - padding_; ++byte) *to++ = static_cast<char>(group_ >> (16 - 8 * byte));
    group_ = 0;
    count_ = 0;
  }
  out.resize(static_cast<size_t>(to - out.data()));
  return is_valid;
}

std::optional<std::string> base64_decoded(std::string_view text) {
  Base64Decoder decoder;
  std::string out;
  if (!decoder.put(text, out) || !decoder.is_complete()) return std::nullopt;
  return out;
}

}  // namespace depickle::server::api
