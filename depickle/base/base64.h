// Base64 (RFC 4648, section 4), over OpenSSL.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "depickle/base/bytes.h"

namespace depickle {

std::string base64_encode(Bytes bytes);

/// Returns nothing if `text` is not base64: other characters (line breaks too), or missing padding.
std::optional<std::string> base64_decode(std::string_view text);

/// Decodes text that arrives in pieces.
class Base64Decoder {
 public:
  /// Appends the decoded bytes of every complete group of four characters to `out`. Returns false if the text is not
  /// base64.
  bool put(std::string_view text, std::string& out);
  /// Whether no group is incomplete.
  bool is_complete() const noexcept { return pending_.empty(); }

 private:
  std::string pending_;  ///< the characters of an incomplete group
  bool has_padding_ = false;
};

}  // namespace depickle
