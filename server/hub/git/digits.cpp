#include "server/hub/git/digits.h"

#include <algorithm>

namespace depickle::server {

bool is_hex(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace depickle::server
