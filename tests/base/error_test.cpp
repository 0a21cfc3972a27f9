#include "depickle/base/error.h"

#include <cerrno>

#include <gtest/gtest.h>

namespace depickle {
namespace {

TEST(Error, TextIsPlaceThenRuleThenMessage) {
  Error error(Code::malformed, "ST09", "data_offsets span 12 bytes",
      {.file = "model.bin", .tensor = "a.weight", .offset_bytes = 7}, "fetch it again");
  EXPECT_STREQ(error.what(), "model.bin: tensor \"a.weight\": at byte 7: [ST09] data_offsets span 12 bytes");
  EXPECT_EQ(error.message(), "data_offsets span 12 bytes");
  EXPECT_EQ(error.rule(), "ST09");
  EXPECT_EQ(error.hint(), "fetch it again");
  EXPECT_STREQ(Error(Code::io, "", "is gone").what(), "is gone");
}

TEST(Error, EscapesControlCharactersInNames) {
  Error error(Code::malformed, "", "bad", {.file = "\x1b[2J", .tensor = "\"\n", .offset_bytes = {}});
  EXPECT_STREQ(error.what(), "\\x1b[2J: tensor \"\\\"\\n\": bad");
}

TEST(Error, KeepsItsFirstFile) {
  Error error = Error(Code::limit, "PK10", "too long", Where::at(3), "do not trust it").in("a.pt");
  EXPECT_STREQ(error.what(), "a.pt: at byte 3: [PK10] too long");
  EXPECT_EQ(error.hint(), "do not trust it");
  EXPECT_EQ(error.code(), Code::limit);
  EXPECT_STREQ(error.in("b.pt").what(), error.what());
  EXPECT_EQ(error.with_hint("other").hint(), "other");
}

TEST(Error, FromErrnoIsNotFoundOrIo) {
  EXPECT_STREQ(system_error(ENOENT, "cannot open", "a").what(), "a: cannot open: No such file or directory");
  EXPECT_EQ(system_error(ENOENT, "", "").code(), Code::not_found);
  EXPECT_EQ(system_error(ENOTDIR, "", "").code(), Code::not_found);
  EXPECT_EQ(system_error(EACCES, "", "").code(), Code::io);
}

TEST(Error, EachCodeHasAName) {
  EXPECT_EQ(name(Code::not_found), "not_found");
  EXPECT_EQ(name(Code::malformed), "malformed");
  EXPECT_EQ(name(Code::cancelled), "cancelled");
}

}  // namespace
}  // namespace depickle
