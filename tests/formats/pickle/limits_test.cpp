// Rule PK10: limits, and inputs that would be bombs for a reader that copies values.
#include <chrono>

#include <gtest/gtest.h>

#include "printed.h"
#include "tests/scaling.h"

namespace depickle::pickle {
namespace {

using namespace std::literals;

std::string times(size_t count, std::string_view piece) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += piece;
  return out;
}

TEST(Limits, PK10_opcodes) {
  EXPECT_EQ(refusal("NNN."sv, {.opcodes = 3}), "at byte 3: [PK10] more than 3 opcodes");
  EXPECT_EQ(refusal("NN."sv, {.opcodes = 3}), "accepted: None");
}

TEST(Limits, PK10_values) {
  EXPECT_EQ(refusal("]]]]."sv, {.nodes = 263}), "at byte 3: [PK10] more than 263 values")
      << "every graph begins with 260 values";
}

TEST(Limits, PK10_memo_entries) {
  EXPECT_EQ(refusal("N\x94\x94\x94."sv, {.memo_entries = 2}), "at byte 3: [PK10] more than 2 memo entries");
  EXPECT_EQ(refusal("Nr\xff\xff\xff\xffr\xff\xff\xff\xfe."sv, {.memo_entries = 1}),
      "at byte 6: [PK10] more than 1 memo entries");
  EXPECT_EQ(refusal("Nq\0q\0q\0."sv, {.memo_entries = 1}), "accepted: None");
}

TEST(Limits, PK10_stack) {
  EXPECT_EQ(refusal("NNNN."sv, {.stack_items = 3}), "at byte 3: [PK10] more than 3 items on the stack");
}

TEST(Limits, PK10_marks) {
  EXPECT_EQ(refusal("(((."sv, {.marks = 2}), "at byte 2: [PK10] more than 2 marks");
  EXPECT_EQ(refusal(times(200'000, "(")), "at byte 100000: [PK10] more than 100,000 marks");
}

TEST(Limits, PK10_lines) {
  EXPECT_EQ(refusal("cabcd\ne\n."sv, {.line_bytes = 3}), "at byte 1: [PK10] a line has more than 3 bytes");
  EXPECT_EQ(refusal("cabc\ne\n."sv, {.line_bytes = 3}), "accepted: abc.e");
  EXPECT_EQ(refusal("I" + times(5000, "1") + "\n."), "at byte 1: [PK10] a line has more than 4096 bytes");
}

TEST(Limits, PK10_texts) {
  EXPECT_EQ(refusal("X\4\0\0\0abcd."sv, {.text_bytes = 3}), "at byte 0: [PK10] a str has 4 bytes (at most 3)");
  EXPECT_EQ(refusal("X\3\0\0\0abc."sv, {.text_bytes = 3}), "accepted: 'abc'");
  EXPECT_EQ(refusal("C\4abcd."sv, {.text_bytes = 3}), "accepted: b'abcd'") << "bytes are not copied";
}

TEST(Limits, PK10_integers) {
  EXPECT_EQ(refusal("\x8b\0\4\0\0"s + times(1024, "\x11") + "."), "accepted: big(" + times(1024, "11") + ")")
      << "1024 bytes are allowed";
  EXPECT_EQ(
      refusal("\x8b\0\x08\0\0"s + times(2048, "\x11") + "."), "at byte 0: [PK10] more than 1,024 bytes in one int");
}

TEST(Limits, AWrongLengthIsRefusedBeforeMemoryIsAllocated) {
  EXPECT_EQ(refusal("X\xff\xff\xff\xff"
                    "abc"sv),
      "at byte 5: [PK02] the pickle ends inside an argument (have 3 bytes, need 4294967295)");
  EXPECT_EQ(refusal("B\xff\xff\xff\xff"
                    "abc"sv),
      "at byte 5: [PK02] the pickle ends inside an argument (have 3 bytes, need 4294967295)");
}

// "Billion laughs": each list contains the previous one ten times. Copied, these are 10^30 values; in a graph, 30.
TEST(Limits, DoublingBySharedHandlesIsCheap) {
  std::string by_dup = "]" + times(100, "2\x86") + ".";
  EXPECT_LT(parse(bytes(by_dup)).graph.nodes(), 400u);

  std::string by_memo = "]q\0"s + times(30, "(" + times(10, "h\0"sv) + "lq\0"s) + ".";
  auto begin = std::chrono::steady_clock::now();
  Pickle parsed = parse(bytes(by_memo));
  EXPECT_LT(parsed.graph.nodes(), 400u);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
}

// 42,043 is a prime that a hash table of this size could have as its number of buckets: all indices would share one.
TEST(Limits, ChosenMemoIndicesAreAsFastAsOthers) {
  auto raw = [](uint32_t index) { return std::string(reinterpret_cast<const char*>(&index), sizeof index); };
  auto seconds = [&](uint32_t stride) {
    std::string stream = "N";
    for (uint32_t i = 1; i <= 42'000; ++i) stream += "r" + raw(i * stride);
    stream += times(20'000, "j" + raw(stride) + "0") + ".";
    return cpu_seconds([&] { parse(bytes(stream)); });
  };
  EXPECT_LT(seconds(42'043), 5 * std::max(seconds(42'041), 0.05));
}

TEST(Limits, DeepNestingNeedsNoCallStack) {
  std::string deep = times(1'000'000, "]") + times(999'999, "a") + ".";
  Pickle parsed = parse(bytes(deep));
  EXPECT_EQ(parsed.graph.children(parsed.graph.root()).size(), 1u);
}

}  // namespace
}  // namespace depickle::pickle
