#include "depickle/base/base64.h"

#include <algorithm>

#include <openssl/evp.h>

namespace depickle {
namespace {

constexpr size_t kMaxPieceBytes = 3 << 20;  // OpenSSL counts in int

bool is_digit(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

const unsigned char* as_input(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

// Appends the bytes of complete groups, with zeros for the padding. EVP_DecodeBlock() would skip blanks: the caller has
// checked.
void append_decoded(std::string_view groups, std::string& out) {
  const size_t begin = out.size();
  out.resize(begin + groups.size() / 4 * 3);
  auto* target = reinterpret_cast<unsigned char*>(out.data() + begin);
  while (!groups.empty()) {
    const std::string_view piece = groups.substr(0, kMaxPieceBytes / 3 * 4);
    target += EVP_DecodeBlock(target, as_input(piece), static_cast<int>(piece.size()));
    groups.remove_prefix(piece.size());
  }
}

}  // namespace

std::string base64_encode(Bytes bytes) {
  std::string out;
  for (std::string_view rest = text(bytes); !rest.empty();) {
    const std::string_view piece = rest.substr(0, kMaxPieceBytes);
    const size_t begin = out.size(), length = (piece.size() + 2) / 3 * 4;
    out.resize(begin + length + 1);  // EVP_EncodeBlock() adds a zero byte
    EVP_EncodeBlock(
        reinterpret_cast<unsigned char*>(out.data() + begin), as_input(piece), static_cast<int>(piece.size()));
    out.resize(begin + length);
    rest.remove_prefix(piece.size());
  }
  return out;
}

bool Base64Decoder::put(std::string_view text, std::string& out) {
  if (text.empty()) return true;
  if (has_padding_) return false;
  pending_ += text;
  const std::string_view groups = std::string_view(pending_).substr(0, pending_.size() / 4 * 4);
  std::string_view digits = groups;
  for (int i = 0; i < 2 && digits.ends_with('='); ++i) digits.remove_suffix(1);
  if (!std::ranges::all_of(digits, is_digit)) return false;
  const size_t padding_bytes = groups.size() - digits.size();
  append_decoded(groups, out);
  out.resize(out.size() - padding_bytes);
  has_padding_ = padding_bytes > 0;
  pending_.erase(0, groups.size());
  return !has_padding_ || pending_.empty();
}

std::optional<std::string> base64_decode(std::string_view text) {
  Base64Decoder decoder;
  std::string out;
  if (!decoder.put(text, out) || !decoder.is_complete()) return {};
  return out;
}

}  // namespace depickle
