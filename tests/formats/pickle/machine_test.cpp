// Identity, memo, marks and recorded calls.
#include <gtest/gtest.h>

#include "printed.h"

namespace depickle::pickle {
namespace {

using namespace std::literals;

TEST(Identity, AListExtendedAfterPutIsExtendedAtEveryGet) { EXPECT_EQ(printed("]q\0K\1ah\0\x86."sv), "([1], [1])"); }

TEST(Identity, ADictExtendedAfterPutIsExtendedAtEveryGet) {
  EXPECT_EQ(printed("}q\0h\0\x86h\0K\1K\2s0."sv), "({1: 2}, {1: 2})");
}

TEST(Identity, AStateSetAfterPutIsSetAtEveryGet) {
  EXPECT_EQ(printed("cm\nC\n)\x81q\0h\0\x86h\0}b0."sv), "(m.C()@{}, m.C()@{})");
}

TEST(Identity, EqualHandlesAreTheSameObject) {
  Pickle parsed = parse(bytes("]q\0h\0]\x87."sv));
  std::span<const Handle> items = parsed.graph.children(parsed.graph.root());
  EXPECT_EQ(items[0], items[1]);
  EXPECT_NE(items[0], items[2]) << "another empty list is another object";
}

TEST(Identity, CyclesAreAllowed) {
  EXPECT_EQ(printed("]q\0h\0a."sv), "[...]");
  EXPECT_EQ(printed("}q\0K\1h\0s."sv), "{1: ...}");
  EXPECT_EQ(printed("cm\nC\n)\x81q\0h\0b."sv), "m.C()@...");
}

TEST(Identity, ManyValuesKeepTheirOrder) {
  std::string stream = "](";
  for (int i = 0; i < 100'000; ++i)
    stream += "M" + std::string{static_cast<char>(i), static_cast<char>(i >> 8)} + "\x85";
  Pickle parsed = parse(bytes(stream + "e."));
  std::span<const Handle> items = parsed.graph.children(parsed.graph.root());
  ASSERT_EQ(items.size(), 100'000u);
  for (size_t i = 0; i < items.size(); ++i)
    ASSERT_EQ(parsed.graph.integer(parsed.graph.children(items[i])[0]), static_cast<int64_t>(i % 65536));
}

TEST(Memo, MemoizeCountsTheEntriesOfEveryOpcode) {
  EXPECT_EQ(printed("K\1q\x07K\2\x94K\3\x94h\1h\2\x86."sv), "(2, 3)")
      << "BINPUT 7 is the first entry, so MEMOIZE continues with 1";
  EXPECT_EQ(printed("K\1q\0K\2q\0K\3\x94h\1\x85."sv), "(3)") << "an entry put twice counts once";
}

// Regression: an index that was written first to the map and later to the vector was counted twice, so every MEMOIZE
// after it wrote to another index than in Python.
TEST(Memo, AnIndexInTheMapStaysOneEntry) {
  std::string stream = "K\1r\xd0\7\0\0"s;  // memo[2000] = 1, the first entry
  for (int i = 0; i < 300; ++i)
    stream +=
        "r"s + static_cast<char>(i) + static_cast<char>(i >> 8) + "\0\0"s;  // 300 more: 2000 would now go to the vector
  stream += "K\2r\xd0\7\0\0"s;                                              // memo[2000] = 2
  stream += "K\3\x94"s;                                                     // the 302nd entry: memo[301]
  EXPECT_EQ(printed(stream + "j\x2d\1\0\0j\xd0\7\0\0\x86."s), "(3, 2)");
}

TEST(Memo, AHugeIndexTakesLittleMemory) { EXPECT_EQ(printed("K\1r\xff\xff\xff\xff\x30j\xff\xff\xff\xff."sv), "1"); }

TEST(Marks, PopRemovesTheMarkIfNoItemIsAboveIt) {
  EXPECT_EQ(printed("K\1(K\2"
                    "00."sv),
      "1");
  EXPECT_EQ(printed("K\1((0K\2t0."sv), "1") << "the outer mark is still there";
}

TEST(Marks, ItemsAndMarksMayRemainAtStop) { EXPECT_EQ(printed("K\1(K\2."sv), "2"); }

TEST(Frames, OpcodesBetweenFramesAreAllowed) {
  EXPECT_EQ(printed("\x80\4\x95\3\0\0\0\0\0\0\0K\1\x94K\2\x95\2\0\0\0\0\0\0\0\x86."sv), "(1, 2)");
  EXPECT_EQ(printed("\x95\0\0\0\0\0\0\0\0N."sv), "None") << "an empty frame";
}

TEST(Events, AreRecordedInOrderEvenIfTheResultIsDropped) {
  Pickle parsed = parse(bytes("cos\nsystem\nU\2id\x85R0(cm\nf\no0\x82\1"
                              "0Pid\n0N."sv),
      100);
  std::string log;
  for (const Event& event : parsed.graph.events())
    log += std::string(name(event.op())) + " " + std::to_string(event.offset_bytes) + " " +
           Printer(parsed.graph).text(event.node) + "; ";
  EXPECT_EQ(log, "REDUCE 116 os.system('id'); OBJ 124 m.f(); EXT1 126 ext(1); PERSID 129 pid('id'); ");
}

TEST(Events, OperandsAreThoseOnTheStack) {
  // From the memo, after PUT and POP, and as a Python 2 str.
  EXPECT_EQ(printed("\x8c\2osq\0"
                    "0\x8c\6systemq\1"
                    "0N0h\0h\1\x93."sv),
      "os.system");
  EXPECT_EQ(printed("U\2osS'system'\n\x93."sv), "os.system");
  EXPECT_EQ(printed("\x8c\2os\x8c\1x0\x8c\6system\x93."sv), "os.system");
}

TEST(Globals, AreCountedWithTheirFirstOffset) {
  Pickle parsed =
      parse(bytes("cos\nsystem\n0\x8c\2os\x8c\6system\x93"
                  "0cm\nn\n."sv));
  ASSERT_EQ(parsed.graph.globals().size(), 2u);
  EXPECT_EQ(parsed.graph.globals()[0].module, "os");
  EXPECT_EQ(parsed.graph.globals()[0].count, 2u);
  EXPECT_EQ(parsed.graph.globals()[0].offset_bytes, 0u);
  EXPECT_EQ(parsed.graph.globals()[1].offset_bytes, 26u);
}

TEST(Build, OnAnotherKindHasNoEffectButIsRecorded) {
  Pickle parsed = parse(bytes("cm\nf\n}b."sv));
  EXPECT_EQ(Printer(parsed.graph).text(parsed.graph.root()), "m.f");
  ASSERT_EQ(parsed.graph.events().size(), 1u);
  EXPECT_EQ(parsed.graph.events()[0].op(), Op::BUILD);
  EXPECT_EQ(printed("}}U\1aK\1sb."sv), "{}") << "the state of a dict is not one of its items";
}

TEST(Entries, ARepeatedKeyKeepsItsPositionAndTakesTheLastValue) {
  Pickle parsed = parse(bytes("}(U\1aK\1U\1bK\2U\1aK\3K\1K\4\x88K\5N\x85K\6u."sv));
  std::string text;
  for (auto [key, value] : parsed.graph.entries(parsed.graph.children(parsed.graph.root())))
    text += Printer(parsed.graph).text(key) + "=" + Printer(parsed.graph).text(value) + " ";
  EXPECT_EQ(text, "'a'=3 'b'=2 1=5 (None)=6 ") << "True equals 1";
}

TEST(Parse, EndsAfterStop) {
  EXPECT_EQ(parse(bytes("N.N."sv)).end_bytes, 2u);
  Trace cut = trace(bytes("cos\nsystem\nU\2id\x85RNK\1a."sv), 1000);
  ASSERT_TRUE(cut.failure);
  EXPECT_STREQ(cut.failure->what(), "at byte 1020: [PK06] APPEND: cannot append to None");
  ASSERT_EQ(cut.graph.events().size(), 1u) << "calls before the error are recorded";
  EXPECT_EQ(Printer(cut.graph).text(cut.graph.events()[0].node), "os.system('id')");
}

}  // namespace
}  // namespace depickle::pickle
