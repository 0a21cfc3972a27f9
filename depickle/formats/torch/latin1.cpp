#include "depickle/formats/torch/latin1.h"

#include <array>
#include <utility>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/os/computed_source.h"

namespace depickle::torch {

std::shared_ptr<const ByteSource> latin1_bytes(
    std::string name, std::string_view text, std::shared_ptr<const void> owner) {
  uint64_t size_bytes = 0;
  for (size_t i = 0; i < text.size(); ++size_bytes) {
    auto lead = static_cast<unsigned char>(text[i]);
    bool two = (lead == 0xc2 || lead == 0xc3) && utf8_sequence(text.substr(i, 2)) == 2;
    if (lead >= 0x80 && !two)
      throw Error(Code::malformed, "PK05", "bytes spelled as text contain a character above U+00FF").in(name);
    i += two ? 2 : 1;
  }
  auto fill = [text, owner = std::move(owner)](const os::ComputedSource::Sink& sink) {
    std::array<std::byte, 64 << 10> piece;
    size_t used = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      auto byte = static_cast<unsigned char>(text[i]);
      if (byte >= 0x80)
        byte = static_cast<unsigned char>((byte & 3) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3f));
      piece[used++] = std::byte{byte};
      if (used == piece.size()) sink(Bytes(piece).first(std::exchange(used, 0)));
    }
    sink(Bytes(piece).first(used));
  };
  return std::make_shared<os::ComputedSource>(std::move(name), size_bytes, "", std::move(fill));
}

}  // namespace depickle::torch
