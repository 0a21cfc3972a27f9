// The result of each opcode. The expected values are those of CPython's Lib/pickletools.py.
#include <set>

#include <gtest/gtest.h>

#include "printed.h"

namespace depickle::pickle {
namespace {

using namespace std::literals;

struct Row {
  Op op;
  std::string_view stream;  ///< without STOP
  std::string_view value;
};

const Row kRows[] = {
    {Op::MARK, "(K\1K\2t"sv, "(1, 2)"},
    {Op::STOP, "N"sv, "None"},
    {Op::POP, "K\1K\0020"sv, "1"},
    {Op::POP, "K\1(0"sv, "1"},
    {Op::POP_MARK, "K\1(K\2K\0031"sv, "1"},
    {Op::DUP, "]2\x86"sv, "([], [])"},
    {Op::FLOAT, "F-1.5e3\n"sv, "-1500"},
    {Op::FLOAT, "Finf\n"sv, "inf"},
    {Op::FLOAT, "F-1e999\n"sv, "-inf"},
    {Op::FLOAT, "F1e-999\n"sv, "0"},
    {Op::FLOAT, "F-inf\n"sv, "-inf"},
    {Op::FLOAT, "Fnan\n"sv, "nan"},
    {Op::BINFLOAT, "G\x3f\xf8\0\0\0\0\0\0"sv, "1.5"},
    {Op::INT, "I-42\n"sv, "-42"},
    {Op::INT, "I00\n"sv, "False"},
    {Op::INT, "I01\n"sv, "True"},
    {Op::INT, "I0x1f\n"sv, "31"},
    {Op::INT, "I0o17\n"sv, "15"},
    {Op::INT, "I017\n"sv, "15"},
    {Op::INT, "I9223372036854775807\n"sv, "9223372036854775807"},
    {Op::INT, "I9223372036854775808\n"sv, "big(39323233333732303336383534373735383038)"},
    {Op::BININT, "J\xfe\xff\xff\xff"sv, "-2"},
    {Op::BININT1, "K\xff"sv, "255"},
    {Op::BININT2, "M\xff\xff"sv, "65535"},
    {Op::LONG, "L12L\n"sv, "12"},
    {Op::LONG, "L-9223372036854775808\n"sv, "-9223372036854775808"},
    {Op::LONG, "L1_000L\n"sv, "1000"},
    {Op::LONG1, "\x8a\0"sv, "0"},
    {Op::LONG1, "\x8a\2\0\xff"sv, "-256"},
    {Op::LONG1, "\x8a\1\xff"sv, "-1"},
    {Op::LONG1, "\x8a\x08\0\0\0\0\0\0\0\x80"sv, "-9223372036854775808"},
    {Op::LONG1, "\x8a\x09\1\0\0\0\0\0\0\0\1"sv, "big(010000000000000001)"},
    {Op::LONG4, "\x8b\2\0\0\0\0\1"sv, "256"},
    {Op::NONE, "N"sv, "None"},
    {Op::NEWTRUE, "\x88"sv, "True"},
    {Op::NEWFALSE, "\x89"sv, "False"},
    {Op::STRING, "S'a\\n\\x41\\101\\q'\n"sv, "'a\nAA\\q'"},
    {Op::STRING, "S\"it's\"\n"sv, "'it's'"},
    {Op::BINSTRING, "T\3\0\0\0a\xffz"sv, "'a\xffz'"},
    {Op::SHORT_BINSTRING, "U\2hi"sv, "'hi'"},
    {Op::UNICODE, "Va\\u0041\xe9\n"sv, "'aA\u00e9'"},
    {Op::BINUNICODE, "X\2\0\0\0\xc3\xa9"sv, "'\u00e9'"},
    {Op::SHORT_BINUNICODE, "\x8c\2hi"sv, "'hi'"},
    {Op::BINUNICODE8, "\x8d\2\0\0\0\0\0\0\0hi"sv, "'hi'"},
    {Op::BINBYTES, "B\2\0\0\0hi"sv, "b'hi'"},
    {Op::SHORT_BINBYTES, "C\2hi"sv, "b'hi'"},
    {Op::BINBYTES8, "\x8e\2\0\0\0\0\0\0\0hi"sv, "b'hi'"},
    {Op::BYTEARRAY8, "\x96\2\0\0\0\0\0\0\0hi"sv, "b'hi'"},
    {Op::EMPTY_LIST, "]"sv, "[]"},
    {Op::EMPTY_DICT, "}"sv, "{}"},
    {Op::EMPTY_TUPLE, ")"sv, "()"},
    {Op::EMPTY_SET, "\x8f"sv, "set()"},
    {Op::LIST, "(K\1K\2l"sv, "[1, 2]"},
    {Op::DICT, "(K\1K\2d"sv, "{1: 2}"},
    {Op::TUPLE, "(t"sv, "()"},
    {Op::TUPLE1, "K\1\x85"sv, "(1)"},
    {Op::TUPLE2, "K\1K\2\x86"sv, "(1, 2)"},
    {Op::TUPLE3, "K\1K\2K\3\x87"sv, "(1, 2, 3)"},
    {Op::FROZENSET, "(K\1K\2\x91"sv, "set(1, 2)"},
    {Op::APPEND, "]K\1a"sv, "[1]"},
    {Op::APPEND, "cm\nn\n)RK\1a"sv, "m.n()+[1]"},
    {Op::APPENDS, "](K\1K\2e"sv, "[1, 2]"},
    {Op::SETITEM, "}K\1K\2s"sv, "{1: 2}"},
    {Op::SETITEMS, "}(K\1K\2K\3K\4u"sv, "{1: 2, 3: 4}"},
    {Op::SETITEMS, "cm\nn\n)R(K\1K\2u"sv, "m.n()+{1: 2}"},
    {Op::ADDITEMS, "\x8f(K\1K\2\x90"sv, "set(1, 2)"},
    {Op::GLOBAL, "cos\r\nsystem\n"sv, "os\r.system"},
    {Op::STACK_GLOBAL, "\x8c\2os\x8c\6system\x93"sv, "os.system"},
    {Op::REDUCE, "cos\nsystem\nU\2id\x85R"sv, "os.system('id')"},
    {Op::INST, "(U\2idios\nsystem\n"sv, "os.system('id')"},
    {Op::OBJ, "(cos\nsystem\nU\2ido"sv, "os.system('id')"},
    {Op::NEWOBJ, "cm\nC\nK\1\x85\x81"sv, "m.C(1)"},
    {Op::NEWOBJ_EX, "cm\nC\nK\1\x85}U\1kK\2s\x92"sv, "m.C(1)**{'k': 2}"},
    {Op::BUILD, "cm\nC\n)\x81}U\1kK\2sb"sv, "m.C()@{'k': 2}"},
    {Op::PERSID, "Pthe id\n"sv, "pid('the id')"},
    {Op::BINPERSID, "K\7Q"sv, "pid(7)"},
    {Op::EXT1, "\x82\xff"sv, "ext(255)"},
    {Op::EXT2, "\x83\xff\xff"sv, "ext(65535)"},
    {Op::EXT4, "\x84\1\0\1\0"sv, "ext(65537)"},
    {Op::PUT, "K\1p300\n0g300\n"sv, "1"},
    {Op::BINPUT,
        "K\1q\x05"
        "0h\5"sv,
        "1"},
    {Op::LONG_BINPUT,
        "K\1r\5\0\1\0"
        "0j\5\0\1\0"sv,
        "1"},
    {Op::GET, "K\1p0\ng0\n\x86"sv, "(1, 1)"},
    {Op::BINGET, "K\1q\0h\0\x86"sv, "(1, 1)"},
    {Op::LONG_BINGET, "K\1q\0j\0\0\0\0\x86"sv, "(1, 1)"},
    {Op::MEMOIZE, "K\1\x94K\2\x94h\0h\1\x86"sv, "(1, 2)"},
    {Op::PROTO, "\x80\5N"sv, "None"},
    {Op::FRAME, "\x95\2\0\0\0\0\0\0\0N"sv, "None"},
    {Op::READONLY_BUFFER, "C\2hi\x98"sv, "b'hi'"},
};

TEST(Opcodes, HaveTheResultsOfPython) {
  for (const Row& row : kRows)
    EXPECT_EQ(refusal(std::string(row.stream) + "."), "accepted: " + std::string(row.value))
        << name(row.op) << " in " << row.stream;
}

// NEXT_BUFFER has no result: PK09 refuses it.
TEST(Opcodes, AllAreInTheTable) {
  std::set<Op> tried{Op::NEXT_BUFFER};
  for (const Row& row : kRows) {
    bool used = row.op == Op::STOP || row.stream.find(static_cast<char>(row.op)) != row.stream.npos;
    if (used) tried.insert(row.op);
  }
  size_t opcodes = 0;
  for (int byte = 0; byte < 256; ++byte) {
    auto op = static_cast<Op>(byte);
    opcodes += !name(op).empty();
    EXPECT_EQ(tried.contains(op), !name(op).empty()) << "0x" << std::hex << byte << " " << name(op);
  }
  EXPECT_EQ(opcodes, 68u);
}

TEST(Opcodes, EveryOtherByteIsRefused) {
  for (int byte = 0; byte < 256; ++byte) {
    if (!name(static_cast<Op>(byte)).empty()) continue;
    std::string text = refusal(std::string(1, static_cast<char>(byte)) + std::string(16, 'N') + ".");
    EXPECT_NE(text.find("at byte 0: [PK01] 0x"), text.npos) << text;
  }
}

TEST(Opcodes, MadeByDistinguishesTypesOfTheSameKind) {
  auto maker = [](std::string_view stream) {
    Pickle pickle = parse(bytes(stream));
    return pickle.graph.made_by(pickle.graph.root());
  };
  EXPECT_EQ(maker("\x96\1\0\0\0\0\0\0\0a."sv), Op::BYTEARRAY8);
  EXPECT_EQ(maker("C\1a."sv), Op::SHORT_BINBYTES);
  EXPECT_EQ(maker("\x8f."sv), Op::EMPTY_SET);
  EXPECT_EQ(maker("(\x91."sv), Op::FROZENSET);
  EXPECT_EQ(maker("\x8a\x09\1\1\1\1\1\1\1\1\1."sv), Op::LONG1);
  EXPECT_EQ(maker("L99999999999999999999L\n."sv), Op::LONG);
}

}  // namespace
}  // namespace depickle::pickle
