#include "depickle/base/base64.h"

#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace depickle {
namespace {

const std::vector<std::pair<std::string, std::string>> kPairs{
    {"", ""}, {"Zg==", "f"}, {"Zm8=", "fo"}, {"Zm9v", "foo"}, {"Zm9vYmFy", "foobar"}, {"+/+/", "\xfb\xff\xbf"}};

TEST(Base64, EncodesAndDecodes) {
  for (const auto& [text, decoded] : kPairs) {
    EXPECT_EQ(base64_encode(bytes(decoded)), text);
    EXPECT_EQ(base64_decode(text), decoded);
  }
}

TEST(Base64, DecodesPiecesOfAnySize) {
  for (const auto& [text, decoded] : kPairs) {
    Base64Decoder decoder;
    std::string out;
    for (char c : text) EXPECT_TRUE(decoder.put(std::string_view(&c, 1), out));
    EXPECT_TRUE(decoder.is_complete());
    EXPECT_EQ(out, decoded);
  }
}

TEST(Base64, RefusesOtherText) {
  for (std::string_view text :
      {"Z", "Zg=", "Zg==Zg==", "=Zg=", "Z===", "====", "Zm9v\n", " Zm9v", "Zm-_", "Zm9v-", "a=Gk", "aG!="})
    EXPECT_EQ(base64_decode(text), std::nullopt) << text;
}

TEST(Base64, EncodesMoreThanOnePiece) {
  std::string long_text;
  for (int i = 0; i < 1'000'000; ++i) long_text += std::to_string(i);
  const std::string encoded = base64_encode(bytes(long_text));
  EXPECT_EQ(encoded.size(), (long_text.size() + 2) / 3 * 4);
  EXPECT_EQ(base64_decode(encoded), long_text);
}

}  // namespace
}  // namespace depickle
