// Rules PK01 to PK09 of docs/formats/pickle.md.
#include <gtest/gtest.h>

#include "printed.h"

namespace depickle::pickle {
namespace {

using namespace std::literals;

TEST(Refusals, PK01_unknown_opcodes_and_protocols) {
  EXPECT_EQ(refusal("N\xff."sv), "at byte 1: [PK01] 0xff is not an opcode");
  EXPECT_EQ(refusal("\x80\6N."sv), "at byte 0: [PK01] PROTO: protocol 6 (at most 5)");
}

TEST(Refusals, PK02_streams_that_end_early) {
  EXPECT_EQ(refusal(""sv), "at byte 0: [PK02] the pickle ends without STOP");
  EXPECT_EQ(refusal("N"sv), "at byte 1: [PK02] the pickle ends without STOP");
  EXPECT_EQ(refusal("J\1\2"sv), "at byte 1: [PK02] the pickle ends inside an argument (have 2 bytes, need 4)");
  EXPECT_EQ(refusal("\x8e\0\0\0\0\0\0\0\x80hi"sv),
      "at byte 9: [PK02] the pickle ends inside an argument (have 2 bytes, need 9223372036854775808)");
  EXPECT_EQ(refusal("\x96\xff\xff\xff\xff\xff\xff\xff\xffhi"sv),
      "at byte 9: [PK02] the pickle ends inside an argument (have 2 bytes, need 18446744073709551615)");
  EXPECT_EQ(refusal("\x95\x09\0\0\0\0\0\0\0N."sv),
      "at byte 9: [PK02] a frame is longer than the rest of the pickle (have 2 bytes, need 9)");
  EXPECT_EQ(refusal("cos\nsyst"sv).substr(0, 18), "at byte 4: [PK02] ");
}

TEST(Refusals, PK02_every_prefix_of_a_pickle) {
  std::string_view whole = "\x80\2}(X\1\0\0\0aG\x3f\xf8\0\0\0\0\0\0M\0\1\x8a\2\0\1I12\nS'x'\ncm\nn\n)RC\1bu."sv;
  EXPECT_EQ(refusal(whole).substr(0, 8), "accepted");
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_NE(refusal(whole.substr(0, length)).find("[PK02]"), std::string::npos) << length;
}

TEST(Refusals, PK03_frames_that_Python_versions_read_differently) {
  EXPECT_EQ(refusal("\x95\2\0\0\0\0\0\0\0J\1\0\0\0."sv),
      "at byte 10: [PK03] an argument of 4 bytes crosses the end of its frame (have 1)");
  EXPECT_EQ(refusal("\x95\4\0\0\0\0\0\0\0cos\nsystem\n."sv).substr(0, 18), "at byte 13: [PK03]");
  EXPECT_EQ(refusal("\x95\x0b\0\0\0\0\0\0\0\x95\1\0\0\0\0\0\0\0N."sv),
      "at byte 18: [PK03] a frame begins inside another frame");
  EXPECT_EQ(refusal("\x95\3\0\0\0\0\0\0\0N.N"sv), "at byte 10: [PK03] STOP: the pickle stops before its frame ends");
}

TEST(Refusals, PK04_missing_items_and_marks) {
  EXPECT_EQ(refusal("."sv), "at byte 0: [PK04] STOP: the stack is empty");
  EXPECT_EQ(refusal("K\1(a."sv), "at byte 3: [PK04] APPEND: no item above the last mark");
  EXPECT_EQ(refusal("t."sv), "at byte 0: [PK04] TUPLE: no mark on the stack");
  EXPECT_EQ(refusal("N\x86."sv), "at byte 1: [PK04] TUPLE2: needs 2 items");
  EXPECT_EQ(refusal("K\1(K\2\x86."sv), "at byte 5: [PK04] TUPLE2: needs 2 items");
  EXPECT_EQ(refusal("(o."sv), "at byte 1: [PK04] OBJ: no class above the last mark");
  for (std::string_view op : {"0"sv, "2"sv, "R"sv, "b"sv, "s"sv, "Q"sv, "\x81"sv, "\x92"sv, "\x93"sv, "\x94"sv, "q\0"sv,
           "1"sv, "e"sv, "u"sv, "\x90"sv, "\x91"sv, "d"sv, "l"sv, "im\nn\n"sv, "\x98"sv})
    EXPECT_NE(refusal(std::string(op) + ".").find("[PK04]"), std::string::npos) << op;
}

TEST(Refusals, PK05_invalid_arguments) {
  EXPECT_EQ(refusal("I1x\n."sv), "at byte 0: [PK05] INT: \"1x\" is not an int");
  EXPECT_EQ(refusal("L\n."sv), "at byte 0: [PK05] LONG: \"\" is not an int");
  EXPECT_EQ(refusal("I08\n."sv), "at byte 0: [PK05] INT: \"08\" is not an int");
  EXPECT_EQ(refusal("I1__0\n."sv), "at byte 0: [PK05] INT: \"1__0\" is not an int");
  EXPECT_EQ(refusal("F1.5.2\n."sv), "at byte 0: [PK05] FLOAT: \"1.5.2\" is not a float");
  EXPECT_EQ(refusal("T\xff\xff\xff\xff."sv), "at byte 0: [PK05] BINSTRING: negative length -1");
  EXPECT_EQ(refusal("\x8b\0\0\0\x80."sv), "at byte 0: [PK05] LONG4: negative length -2147483648");
  EXPECT_EQ(refusal("Sab\n."sv), "[PK05] the argument of STRING is not quoted");
  EXPECT_EQ(refusal("S'\n."sv), "[PK05] the argument of STRING is not quoted");
  EXPECT_EQ(refusal("S'\\xg0'\n."sv), "[PK05] an escape needs 2 hexadecimal digits");
  EXPECT_EQ(refusal("V\\u12\n."sv), "[PK05] an escape needs 4 hexadecimal digits");
  EXPECT_EQ(refusal("V\\U00110000\n."sv), "[PK05] an escape is greater than U+10FFFF");
}

TEST(Refusals, PK06_items_added_to_other_values) {
  EXPECT_EQ(refusal("}K\1a."sv), "at byte 3: [PK06] APPEND: cannot append to a dict");
  EXPECT_EQ(refusal("N(K\1e."sv), "at byte 4: [PK06] APPENDS: cannot append to None");
  EXPECT_EQ(refusal("]K\1K\2s."sv), "at byte 5: [PK06] SETITEM: cannot set an item of a list");
  EXPECT_EQ(refusal("](K\1K\2u."sv), "at byte 6: [PK06] SETITEMS: cannot set an item of a list");
  EXPECT_EQ(refusal("}(K\1u."sv), "at byte 4: [PK06] SETITEMS: a key has no value");
  EXPECT_EQ(refusal("(K\1d."sv), "at byte 3: [PK06] DICT: a key has no value");
  EXPECT_EQ(refusal("](K\1\x90."sv), "at byte 4: [PK06] ADDITEMS: cannot add to a list");
  EXPECT_EQ(refusal("cm\nf\nK\1a."sv), "at byte 7: [PK06] APPEND: cannot append to a global");
}

TEST(Refusals, PK07_operands_of_the_wrong_type) {
  EXPECT_EQ(refusal("K\1U\1x\x93."sv), "at byte 5: [PK07] STACK_GLOBAL: module and name must be str");
  EXPECT_EQ(refusal("C\2osU\6system\x93."sv), "at byte 12: [PK07] STACK_GLOBAL: module and name must be str");
  EXPECT_EQ(refusal("cm\nf\n]R."sv), "at byte 6: [PK07] REDUCE: the arguments are a list, not a tuple");
  EXPECT_EQ(refusal("cm\nC\nN\x81."sv), "at byte 6: [PK07] NEWOBJ: the arguments are None, not a tuple");
  EXPECT_EQ(refusal("cm\nC\n)N\x92."sv), "at byte 7: [PK07] NEWOBJ_EX: the keyword arguments are None, not a dict");
}

TEST(Refusals, PK07_the_call_is_recorded_before_the_check) {
  Trace failed = trace(bytes("cos\nsystem\n(U\2idlR."sv));
  ASSERT_EQ(failed.graph.events().size(), 1u);
  EXPECT_EQ(Printer(failed.graph).text(failed.graph.events()[0].node), "os.system(*['id'])");
}

TEST(Refusals, PK08_memo_entries_that_do_not_exist) {
  EXPECT_EQ(refusal("h\7."sv), "at byte 0: [PK08] BINGET: memo entry 7 does not exist");
  EXPECT_EQ(refusal("j\xff\xff\xff\xff."sv), "at byte 0: [PK08] LONG_BINGET: memo entry 4294967295 does not exist");
  EXPECT_EQ(refusal("Nq\1h\0."sv), "at byte 3: [PK08] BINGET: memo entry 0 does not exist");
  EXPECT_EQ(refusal("Np-1\n."sv), "at byte 1: [PK08] PUT: \"-1\" is not a memo index");
  EXPECT_EQ(refusal("gx\n."sv), "at byte 0: [PK08] GET: \"x\" is not a memo index");
}

TEST(Refusals, PK09_out_of_band_buffers) {
  EXPECT_EQ(refusal("\x97."sv), "at byte 0: [PK09] NEXT_BUFFER: a file cannot contain out-of-band buffers");
}

}  // namespace
}  // namespace depickle::pickle
