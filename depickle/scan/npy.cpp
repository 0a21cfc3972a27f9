#include "depickle/scan/npy.h"

#include <string_view>

#include "depickle/base/error.h"

namespace depickle::scan {
namespace {

// The header is a Python dict. numpy evaluates it, so a dtype may be spelled with escapes, adjacent literals or
// comments; each of them counts as objects, like "O" and "object".
bool may_have_objects(std::string_view header) {
  if (header.find_first_of("O\\#") != header.npos || header.find("object") != header.npos) return true;
  bool is_in_text = false, follows_text = false;
  char quote = 0;
  for (char c : header) {
    if (is_in_text) {
      if (c == quote) is_in_text = false, follows_text = true;
    } else if (c == '\'' || c == '"') {
      if (follows_text) return true;
      is_in_text = true, quote = c;
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
      follows_text = false;
    }
  }
  return false;
}

}  // namespace

std::optional<uint64_t> npy_pickle_offset(Bytes file) {
  constexpr uint64_t kVersionBytes = 8;
  auto need = [&](uint64_t size_bytes) {
    if (file.size() < size_bytes) throw Error(Code::truncated, "", "the header of the NumPy array is not complete");
  };
  need(kVersionBytes + 2);
  // Version 1 has a length of 2 bytes, later versions one of 4.
  const bool is_first_version = file[6] == std::byte{1};
  need(kVersionBytes + (is_first_version ? 2 : 4));
  const uint64_t begin = kVersionBytes + (is_first_version ? 2 : 4);
  const uint64_t length =
      is_first_version ? load<uint16_t>(file, kVersionBytes) : uint64_t{load<uint32_t>(file, kVersionBytes)};
  need(begin + length);
  if (!may_have_objects(text(file.subspan(begin, length)))) return std::nullopt;
  return begin + length;
}

bool is_npy(Bytes bytes) noexcept { return text(bytes).starts_with("\x93NUMPY"); }

}  // namespace depickle::scan
