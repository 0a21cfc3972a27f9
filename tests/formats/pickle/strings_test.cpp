#include <gtest/gtest.h>

#include "depickle/formats/pickle/stream.h"
#include "printed.h"

namespace depickle::pickle {
namespace {

using namespace std::literals;

TEST(StringLine, DecodesPythonsEscapes) {
  EXPECT_EQ(decode_quoted("'plain'"), "plain");
  EXPECT_EQ(decode_quoted(R"('\a\b\f\n\r\t\v\\\'\"')"), "\a\b\f\n\r\t\v\\'\"");
  EXPECT_EQ(decode_quoted(R"('\x00\xfF')"), "\0\xff"sv);
  EXPECT_EQ(decode_quoted(R"('\0\12\101\1018')"), "\0\nAA8"sv) << "octal, at most three digits";
  EXPECT_EQ(decode_quoted(R"('\q\8')"), R"(\q\8)") << "unknown escapes are kept";
  EXPECT_EQ(decode_quoted("''"), "");
  EXPECT_EQ(decode_quoted("\"a'b\""), "a'b");
}

TEST(UnicodeLine, DecodesRawUnicodeEscapes) {
  EXPECT_EQ(decode_raw_unicode_escape("plain"), "plain");
  EXPECT_EQ(decode_raw_unicode_escape(R"(\u00e9\u91cd\U0001f642)"), "é重🙂");
  EXPECT_EQ(decode_raw_unicode_escape("\xe9"), "é") << "other bytes are Latin-1";
  EXPECT_EQ(decode_raw_unicode_escape(R"(\n\x41)"), R"(\n\x41)") << "no other escape";
  EXPECT_EQ(decode_raw_unicode_escape(R"(\\u0041)"), R"(\\u0041)") << "the second backslash begins no escape";
  EXPECT_EQ(decode_raw_unicode_escape(R"(\\\u0041)"), R"(\\A)");
  EXPECT_EQ(decode_raw_unicode_escape(R"(\ud800)"), "\xed\xa0\x80") << "lone surrogates are accepted";
  EXPECT_EQ(decode_raw_unicode_escape("end\\"), "end\\");
}

TEST(Python2Strings, AreTheirBytes) {
  Pickle parsed = parse(bytes("U\3a\xff\0."sv));
  EXPECT_EQ(parsed.graph.text(parsed.graph.root()), "a\xff\0"sv);
  EXPECT_EQ(parsed.graph.kind(parsed.graph.root()), NodeKind::text);
}

TEST(Numbers, HaveTheLimitsOfTheirTypes) {
  EXPECT_EQ(printed("I-9223372036854775808\n."sv), "-9223372036854775808");
  EXPECT_EQ(printed("I-9223372036854775809\n."sv).substr(0, 4), "big(");
  EXPECT_EQ(printed("I +7 \r\n."sv), "7");
  EXPECT_EQ(printed("I0b101\n."sv), "5");
  EXPECT_EQ(printed("I-0X1F\n."sv), "-31");
  EXPECT_EQ(printed("F.5\n."sv), "0.5");
  EXPECT_EQ(printed("F+5.\n."sv), "5");
  EXPECT_EQ(printed("Np+1_0\ng10\n."sv), "None");
}

}  // namespace
}  // namespace depickle::pickle
