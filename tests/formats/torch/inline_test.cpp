// Tensors whose bytes are inside the pickle: numpy arrays and storages pickled without torch.save.
#include <gmock/gmock.h>

#include "tests/formats/torch/tables.h"

namespace depickle::torch {
namespace {

using namespace made;
using testing::HasSubstr;

std::string dtype(std::string_view code, std::string_view order = "<") {
  return call("numpy", "dtype", {text(code), kFalse, kTrue}) +
         tuple({number(3), text(order), kNone, kNone, kNone, number(-1), number(-1), number(0)}) + "b";
}
std::string array(const std::string& of, std::initializer_list<int64_t> shape, const std::string& data,
    bool fortran = false, std::string_view module = "numpy.core.multiarray") {
  return call(module, "_reconstruct", {named("numpy", "ndarray"), sizes({0}), made::bytes("b")}) +
         tuple({number(1), sizes(shape), of, fortran ? kTrue : kFalse, data}) + "b";
}
std::string frombuffer(
    const std::string& data, const std::string& of, std::initializer_list<int64_t> shape, std::string_view order) {
  return call("numpy._core.numeric", "_frombuffer", {data, of, sizes(shape), text(order)});
}
// Latin-1 as UTF-8, as protocols 0 to 2 spell bytes.
std::string as_text(std::string_view data) {
  std::string out;
  for (char c : data) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80)
      out += c;
    else
      out += {static_cast<char>(0xc0 | byte >> 6), static_cast<char>(0x80 | (byte & 0x3f))};
  }
  return out;
}
std::string encoded(std::string_view data, std::string_view codec = "latin1") {
  return call("_codecs", "encode", {text(as_text(data)), text(codec)});
}
std::string bare(const std::string& value) { return pickle(dict({{"w", value}}), 4); }

TEST(Numpy, ArraysOfBothProtocols) {
  std::string bytes = made::bytes(kSix);
  Table table = table_of(bare(array(dtype("f4"), {2, 3}, bytes)));
  EXPECT_EQ(table.kind, detect::FileKind::pickle);
  EXPECT_EQ(listed(table), "w F32[2,3]");
  EXPECT_EQ(content_of(table), kSix);
  EXPECT_EQ(listed(table_of(bare(array(dtype("f4"), {2, 3}, bytes, true)))), "w F32[2,3] by [1,2]");
  EXPECT_EQ(listed(table_of(bare(array(dtype("f4"), {}, made::bytes(floats({1})), false, "numpy._core.multiarray")))),
      "w F32[]");
  EXPECT_EQ(listed(table_of(bare(frombuffer(bytes, dtype("f4"), {2, 3}, "C")))), "w F32[2,3]");
  EXPECT_EQ(listed(table_of(bare(frombuffer("\x96" + raw<uint64_t>(24) + kSix, dtype("f4"), {2, 3}, "F")))),
      "w F32[2,3] by [1,2]")
      << "a bytearray";
}

TEST(Numpy, EveryDtypeThatSafetensorsHas) {
  const std::pair<const char*, const char*> kKnown[] = {{"b1", "BOOL"}, {"i1", "I8"}, {"i2", "I16"}, {"i4", "I32"},
      {"i8", "I64"}, {"u1", "U8"}, {"u2", "U16"}, {"u4", "U32"}, {"u8", "U64"}, {"f2", "F16"}, {"f4", "F32"},
      {"f8", "F64"}, {"c8", "C64"}};
  for (auto [code, wanted] : kKnown) {
    auto size = bits(*find_dtype(wanted)) / 8;
    EXPECT_EQ(listed(table_of(bare(array(dtype(code, "|"), {2}, made::bytes(std::string(2 * size, 'x')))))),
        std::string("w ") + wanted + "[2]");
  }
  EXPECT_EQ(listed(table_of(bare(array(dtype("i1", ">"), {1}, made::bytes("x"))))), "w I8[1]")
      << "one byte has no byte order";
  EXPECT_EQ(listed(table_of(bare(array(dtype("f4", ">"), {1}, made::bytes("abcd"))))), "w F32[1] swap");
  EXPECT_EQ(unsupported_in(table_of(bare(array(dtype("c16"), {1}, made::bytes(std::string(16, 'x')))))),
      "w: numpy array of complex128, shape [1]");
  for (auto other : {"O8", "U3", "M8", "V2"})
    EXPECT_EQ(listed(table_of(bare(array(dtype(other), {1}, made::bytes("abcd"))))), "") << other;
}

TEST(Numpy, BytesCanBeSpelledAsText) {
  std::string data = std::string("\0\x7f\x80\xff", 4) + std::string(20, '\xc3');
  EXPECT_EQ(content_of(table_of(bare(array(dtype("u1"), {24}, encoded(data))))), data);
  EXPECT_EQ(content_of(table_of(bare(array(dtype("u1"), {24}, "T" + raw<int32_t>(24) + data)))), data)
      << "a Python 2 str";
  EXPECT_EQ(
      content_of(table_of(bare(array(dtype("u1"), {24}, call("__builtin__", "bytearray", {encoded(data)}))))), data);
  EXPECT_EQ(listed(table_of(bare(array(dtype("u1"), {0}, call("__builtin__", "bytes", {}))))), "w U8[0]");
  EXPECT_EQ(listed(table_of(bare(array(dtype("u1"), {24}, encoded(data, "utf-8"))))), "")
      << "another codec encodes other bytes";
}

// Regression: the graph owns text of protocol 0 and is freed before the bytes are read.
TEST(Numpy, BytesOfProtocol0OutliveTheGraph) {
  std::string line = "V\\u00ff\\u0000" + std::string(2000, 'a') + "\n";
  std::string file = bare(array(dtype("u1"), {2002}, call("_codecs", "encode", {line, text("latin1")})));
  EXPECT_EQ(content_of(table_of(file)), std::string("\xff\0", 2) + std::string(2000, 'a'));
}

TEST(Numpy, PK05_text_that_is_not_latin1) {
  EXPECT_THAT(refusal(bare(array(dtype("u1"), {1}, call("_codecs", "encode", {text("重"), text("latin1")})))),
      HasSubstr("[PK05] bytes spelled as text contain a character above U+00FF"));
}

TEST(Numpy, TT01_missing_arguments_of_frombuffer) {
  EXPECT_THAT(refusal(bare(call("numpy.core.numeric", "_frombuffer", {made::bytes("")}))),
      HasSubstr("[TT01] _frombuffer has 1 arguments (needs 4)"));
}

TEST(Numpy, TT05_arrays_with_wrong_sizes) {
  EXPECT_EQ(refusal(bare(array(dtype("f4"), {7}, made::bytes(kSix)))),
      "f: tensor \"w\": [TT05] a numpy array of shape [7] and dtype float32 has 24 bytes of data");
  EXPECT_THAT(refusal(bare(array(dtype("f4"), {int64_t{1} << 62, 4}, made::bytes("")))), HasSubstr("[TT05]"));
}

TEST(Numpy, ArraysOverOneBufferShareIt) {
  std::string shared = made::bytes(kSix) + "q\1";
  Table table =
      table_of(pickle(dict({{"a", array(dtype("f4"), {6}, shared)}, {"b", array(dtype("i4"), {6}, "h\1")}}), 4));
  EXPECT_EQ(listed(table), "a F32[6]; b I32[6]");
  EXPECT_EQ(table.storages.size(), 1u);
}

std::string loaded(const std::string& bytes) { return call("torch.storage", "_load_from_bytes", {bytes}); }
const std::string kInner = legacy(storage("FloatStorage", "7", 6, kNone), {{"7", 6, kSix}});

TEST(LoadFromBytes, IsAStorageInsideThePickle) {
  Table table = table_of(bare(tensor(loaded(made::bytes(kInner)), {2, 3}, {3, 1})));
  EXPECT_EQ(listed(table), "w F32[2,3]");
  EXPECT_EQ(content_of(table), kSix);
  EXPECT_EQ(content_of(table_of(bare(tensor(loaded(encoded(kInner)), {6}, {1})))), kSix) << "in protocol 2";
  EXPECT_EQ(listed(table_of(bare(loaded(made::bytes(kInner))))), "w F32[6]") << "a bare storage";
}

TEST(LoadFromBytes, SharedStoragesStayShared) {
  std::string first = tensor(loaded(made::bytes(kInner) + "q\1"), {6}, {1}), second = tensor(loaded("h\1"), {3}, {2});
  Table table = table_of(pickle(dict({{"a", first}, {"b", second}}), 4));
  EXPECT_EQ(listed(table), "a F32[6]; b F32[3] by [2]");
  EXPECT_EQ(table.storages.size(), 1u);
}

TEST(LoadFromBytes, TT04_other_arguments_than_a_storage_in_a_legacy_file) {
  EXPECT_THAT(refusal(bare(tensor(loaded(number(1)), {6}, {1}))),
      HasSubstr("[TT04] the argument of _load_from_bytes is int 1, not bytes"));
  EXPECT_THAT(refusal(bare(tensor(loaded(made::bytes(torch_zip("}", {}))), {6}, {1}))),
      HasSubstr("[TT04] the argument of _load_from_bytes is not a legacy torch file"));
  EXPECT_THAT(refusal(bare(tensor(loaded(made::bytes(legacy("}", {}))), {6}, {1}))),
      HasSubstr("[TT04] the argument of _load_from_bytes does not contain a storage"));
}

}  // namespace
}  // namespace depickle::torch
