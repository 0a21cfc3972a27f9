#include "depickle/base/text.h"

#include <gtest/gtest.h>

namespace depickle {
namespace {

using namespace std::literals;

TEST(Printable, DoesNotChangeOrdinaryText) {
  EXPECT_EQ(printable("h.0.attn.wéight 重み 🙂"), "h.0.attn.wéight 重み 🙂");
}

TEST(Printable, EscapesControlCharacters) {
  EXPECT_EQ(printable("\x1b]0;owned\a\r\t\0\x7f"sv), "\\x1b]0;owned\\x07\\x0d\\x09\\x00\\x7f");
  EXPECT_EQ(printable("two\nlines"), "two\\nlines");
  EXPECT_EQ(printable("\u009b2J"), "\\xc2\\x9b2J") << "C1 control";
}

TEST(Printable, EscapesBidirectionalAndInvisibleCharacters) {
  EXPECT_EQ(printable("a\u202eb"), "a\\xe2\\x80\\xaeb");
  for (auto hidden : {"\u061c", "\u200b", "\u200f", "\u2028", "\u2060", "\u2066", "\u2069", "\ufeff"})
    EXPECT_EQ(printable(hidden).substr(0, 2), "\\x") << hidden;
  EXPECT_EQ(printable("\u2010\u2070"), "\u2010\u2070") << "neighbors of these ranges";
}

TEST(Printable, EscapesBytesThatAreNotUtf8OneByOne) {
  EXPECT_EQ(printable("\xff\xc3 \xed\xa0\x80"), "\\xff\\xc3 \\xed\\xa0\\x80");
}

TEST(Printable, CutsAtACharacterBoundary) {
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("abcdef", 3), "abc…");
  EXPECT_EQ(printable("ééé", 3), "é…");
}

TEST(Quoted, EscapesQuotesAndBackslashes) {
  EXPECT_EQ(quoted("a\"b\\c"sv), R"("a\"b\\c")");
  EXPECT_EQ(quoted("abcdef"sv, 3), "\"abc…\"");
}

TEST(Numbers, AreReadable) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(548'118'077), "548,118,077");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(548'118'077), "548.1 MB");
  EXPECT_EQ(human_bytes(999'949), "999.9 kB");
  EXPECT_EQ(human_bytes(999'950), "1.0 MB");
  EXPECT_EQ(human_bytes(UINT64_MAX), "18.4 EB");
  EXPECT_EQ(plural(1, "tensor"), "1 tensor");
  EXPECT_EQ(plural(0, "tensor"), "0 tensors");
  EXPECT_EQ(plural(1200, "tensor"), "1,200 tensors");
}

TEST(Utf8, AcceptsValidSequencesOnly) {
  EXPECT_EQ(utf8_sequence("a"), 1u);
  EXPECT_EQ(utf8_sequence("\u00e9"), 2u);
  EXPECT_EQ(utf8_sequence("\ud7ff"), 3u);
  EXPECT_EQ(utf8_sequence("\U0010ffff"), 4u);
  for (auto bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
           "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82"})
    EXPECT_EQ(utf8_sequence(bad), 0u) << printable(bad);
  EXPECT_TRUE(is_utf8(""));
  EXPECT_FALSE(is_utf8("fine until here \xff"));
}

}  // namespace
}  // namespace depickle
