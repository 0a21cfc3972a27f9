// Base64 (RFC 4648), as it comes: in pieces.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace depickle::server::api {

class Base64Decoder {
 public:
  /// Appends what `text` decodes to. False for characters that are not of the alphabet, or that follow the padding.
  bool put(std::string_view text, std::string& out);
  /// Whether all groups of four are complete.
  bool whole() const noexcept { return count_ == 0; }

 private:
  uint32_t group_ = 0;
  int count_ = 0;    ///< characters in group_
  int padding_ = 0;  ///< '=' seen
};

/// All at once; nothing where it is not Base64.
std::optional<std::string> base64_decoded(std::string_view text);

}  // namespace depickle::server::api
