// Decodes Base64 (RFC 4648), also in pieces.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace depickle::server::api {

class Base64Decoder {
 public:
  /// Appends the decoded bytes to `out`. Returns false for a character outside the alphabet or after the padding.
  bool put(std::string_view text, std::string& out);
  /// Returns whether the last group of four characters is complete.
  bool is_complete() const noexcept { return count_ == 0; }

 private:
  uint32_t group_ = 0;
  int count_ = 0;    ///< characters in group_
  int padding_ = 0;  ///< number of '='
};

/// Decodes a whole text. Returns nullopt if it is not Base64.
std::optional<std::string> base64_decoded(std::string_view text);

}  // namespace depickle::server::api
