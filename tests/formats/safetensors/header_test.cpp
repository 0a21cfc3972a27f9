#include "depickle/formats/safetensors/header.h"

#include <gmock/gmock.h>

#include <random>

#include "tests/formats/safetensors/files.h"

namespace depickle::safetensors {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::string u8(std::string_view name, uint64_t begin, uint64_t end) {
  std::string offsets = "[" + std::to_string(begin) + "," + std::to_string(end) + "]";
  return "\"" + std::string(name) +
         "\":" + info("U8", "[" + std::to_string(end > begin ? end - begin : 0) + "]", offsets);
}

std::string object_of(std::initializer_list<std::string> members) {
  std::string out = "{";
  for (const std::string& member : members) out += (out.size() > 1 ? "," : "") + member;
  return out + "}";
}

TEST(Header, ReadsTensorsAndMetadata) {
  std::string json = object_of({"\"__metadata__\":{\"format\":\"pt\",\"\":\"\\u00e9\"}",
      "\"w\":" + info("BF16", "[2,3]", "[0,12]"), "\"b\":" + info("F64", "[]", "[12,20]")});
  Header header = Header::parse(bytes(json), 20);
  ASSERT_EQ(header.entries().size(), 2u);
  const Entry& w = header.entries()[0];
  EXPECT_EQ(w.name, "w");
  EXPECT_EQ(w.dtype, Dtype::BF16);
  EXPECT_THAT(w.shape, ElementsAre(2, 3));
  EXPECT_EQ(w.begin, 0u);
  EXPECT_EQ(w.size_bytes(), 12u);
  EXPECT_TRUE(header.entries()[1].shape.empty());
  EXPECT_TRUE(header.has_metadata());
  EXPECT_THAT(header.metadata(), ElementsAre(Pair("format", "pt"), Pair("", "é")));
  EXPECT_EQ(header.data_begin(), 8 + json.size());
}

TEST(Header, SortsTensorsByPlace) {
  Header header =
      Header::parse(bytes(object_of({u8("c", 3, 3), u8("b", 2, 3), u8("z", 0, 0), u8("a", 0, 2), u8("e", 3, 3)})), 3);
  std::string names;
  for (const Entry& entry : header.entries()) names += entry.name;
  EXPECT_EQ(names, "zabce");
}

TEST(Header, FindsExactNamesOnly) {
  std::string json = "{";
  for (int i = 0; i < 1000; ++i)
    json += (i > 0 ? "," : "") + u8("layer." + std::to_string(i) + std::string(static_cast<size_t>(i % 40), 'x'),
                                     static_cast<uint64_t>(i), static_cast<uint64_t>(i) + 1);
  Header header = Header::parse(bytes(json + "}"), 1000);
  for (const Entry& entry : header.entries()) EXPECT_EQ(header.find(entry.name), &entry);
  EXPECT_EQ(header.find("layer.0x"), nullptr);
  EXPECT_EQ(header.find(""), nullptr);
  EXPECT_EQ(Header::parse(bytes(std::string_view("{}")), 0).find("a"), nullptr);
}

TEST(Header, OwnsItsNamesAfterAMove) {
  auto json = std::make_unique<std::string>(
      object_of({"\"a long name, so long that no string keeps it inside itself\":" + kInfo}));
  Header first = Header::parse(bytes(*json), 4);
  json.reset();
  const char* name = first.entries()[0].name.data();
  Header second = std::move(first);
  EXPECT_EQ(second.entries()[0].name.data(), name);
  EXPECT_EQ(second.entries()[0].name, "a long name, so long that no string keeps it inside itself");
  EXPECT_EQ(second.find("a long name, so long that no string keeps it inside itself"), &second.entries()[0]);
}

TEST(Header, TheFastPathAndTheGeneralParserAgree) {
  std::string spaced =
      "{ \"a\" : { \"shape\" : [ 2 , 0 ] , \"extra\" : [1e-999, {\"\": \"\\n\"}], \"data_offsets\" : [ 0 , 0 ] , "
      "\"dtype\" : \"\\u0046\\u0036\\u005FE2M3\" } , " +
      u8("b", 0, 1) + " }\n";
  Header header = Header::parse(bytes(spaced), 1);
  EXPECT_EQ(header.entries()[0].dtype, Dtype::F6_E2M3);
  EXPECT_THAT(header.entries()[0].shape, ElementsAre(2, 0));
  EXPECT_EQ(header.entries()[1].name, "b");
}

TEST(Header, ReadsNumbersOfEveryLength) {
  for (std::string_view padding : {"", "        "}) {  // the fast path needs 8 bytes after the start of a number
    for (uint64_t dimension = 1; dimension < uint64_t{1} << 60; dimension *= 7) {
      std::string json =
          "{\"a\":" + info("U8", "[" + std::to_string(dimension) + "]", "[0," + std::to_string(dimension) + "]") + "}" +
          std::string(padding);
      Header header = Header::parse(bytes(json), dimension);
      EXPECT_EQ(header.entries()[0].shape[0], dimension);
      EXPECT_EQ(header.entries()[0].end, dimension);
    }
  }
  std::string json = "{\"a\":" + info("U8", "[18446744073709551615,0]", "[0,0]") + "}";
  EXPECT_EQ(Header::parse(bytes(json), 0).entries()[0].shape[0], UINT64_MAX);
}

TEST(Header, ST04_text_that_is_not_utf8) {
  EXPECT_EQ(rule_of("{\"a\":" + kInfo + ",\"\xff\":1}"), "ST04");
  EXPECT_EQ(refusal("{\"a\xc0\xaf\":" + kInfo + "}").where().offset_bytes, 8 + 3u);
}

TEST(Header, ST05_text_that_is_not_a_json_object) {
  for (const char* header :
      {"", " ", "[]", "null", "{", "{\"a\":}", "{,}", "{\"a\":1,}", "{\"a\" 1}", "{}x", "{'a':1}", "{\"a", "{\"a\\"})
    EXPECT_NE(rule_of(header, 0), "accepted") << header;
  EXPECT_EQ(rule_of("[]"), "ST05");
  EXPECT_EQ(rule_of(kOne + "x"), "ST05");
  EXPECT_EQ(rule_of(kOne + std::string(1, '\0')), "ST05");
  EXPECT_EQ(rule_of("\xef\xbb\xbf" + kOne), "ST05");
  EXPECT_EQ(rule_of("{\"a\n\":" + kInfo + "}"), "ST05");
  EXPECT_EQ(rule_of("{\"\\ud83d\":" + kInfo + "}"), "ST05");
}

TEST(Header, ST06_nesting_beyond_the_limit_of_the_reference) {
  auto nested = [](size_t depth) {
    return "{\"a\":" + info("F32", "[1]", "[0,4]", ",\"x\":" + std::string(depth, '[') + std::string(depth, ']')) + "}";
  };
  EXPECT_EQ(rule_of(nested(125)), "accepted");
  EXPECT_EQ(rule_of(nested(126)), "ST06");
  EXPECT_EQ(rule_of(nested(1'000'000)), "ST06");
}

TEST(Header, ST07_numbers_that_exceed_a_double_in_ignored_fields) {
  auto extra = [](std::string_view number) {
    return rule_of("{\"a\":" + info("F32", "[1]", "[0,4]", ",\"x\":" + std::string(number)) + "}");
  };
  for (const char* number :
      {"1e308", "-1e308", "1e-999", "0e99999999999", "18446744073709551616", "-0", "0.5E+3", "1.7976931348623157e308"})
    EXPECT_EQ(extra(number), "accepted") << number;
  for (const char* number : {"1e309", "-1e309", "1e99999999999", "1.7976931348623158e308"})
    EXPECT_EQ(extra(number), "ST07") << number;
  EXPECT_EQ(extra(std::string(310, '9')), "ST07");
  EXPECT_EQ(extra("1" + std::string(400, '0') + "e-400"), "accepted");
}

TEST(Header, ST08_metadata_is_strings_to_strings) {
  auto metadata = [](std::string_view value) {
    return rule_of("{\"__metadata__\":" + std::string(value) + "," + u8("a", 0, 4) + "}");
  };
  EXPECT_EQ(metadata("{}"), "accepted");
  EXPECT_EQ(metadata("null"), "accepted");
  for (const char* value : {"[]", "\"\"", "{\"k\":1}", "{\"k\":null}", "{\"k\":{}}"})
    EXPECT_EQ(metadata(value), "ST08") << value;
  EXPECT_EQ(rule_of("{\"__metadata__\":{},\"\\u005f_metadata__\":{}}", 0), "ST08");
  EXPECT_EQ(rule_of("{\"__metadata__\":" + kInfo + "}"), "ST08");
  EXPECT_EQ(rule_of("{\"__metadata__\":" + kInfo + "}        "), "ST08");
}

TEST(Header, ST09_entries_have_three_fields) {
  EXPECT_EQ(rule_of("{\"a\":null}"), "ST09");
  EXPECT_EQ(rule_of("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}"), "ST09");
  EXPECT_EQ(rule_of("{\"a\":" + info("F32", "[1]", "[0,4]", ",\"\\u0073hape\":[1]") + "}"), "ST09");
  EXPECT_EQ(rule_of("{\"a\":[\"F32\",[1],[0,4]]}"), "accepted");
  EXPECT_EQ(rule_of("{\"a\":[\"F32\",[1],[0,4],1]}"), "ST09");
  EXPECT_EQ(rule_of("{\"a\":[\"F32\",[1]]}"), "ST09");
}

TEST(Header, ST10_unknown_dtypes) {
  for (const char* dtype : {"f32", "F128", "", "F32 "})
    EXPECT_EQ(rule_of("{\"a\":" + info(dtype, "[1]", "[0,4]") + "}"), "ST10") << dtype;
  EXPECT_EQ(refusal("{\"a\":" + info("f32", "[1]", "[0,4]") + "}").what(),
      std::string("tensor \"a\": at byte 22: [ST10] unknown dtype \"f32\""));
  auto dtype = [](std::string_view value) {
    return rule_of("{\"a\":{\"dtype\":" + std::string(value) + ",\"shape\":[1],\"data_offsets\":[0,4]}}");
  };
  EXPECT_EQ(dtype("{\"F32\":null}"), "accepted");
  for (const char* value : {"{}", "{\"F32\":{}}", "{\"F32\":null,\"I32\":null}", "32", "null"})
    EXPECT_EQ(dtype(value), "ST10") << value;
}

TEST(Header, ST11_sizes_are_unsigned_integers) {
  for (const char* number : {"1.0", "1e0", "-1", "-0", "18446744073709551616", "\"1\"", "null"}) {
    EXPECT_EQ(rule_of("{\"a\":" + info("F32", "[" + std::string(number) + "]", "[0,4]") + "}"), "ST11") << number;
    EXPECT_EQ(rule_of("{\"a\":" + info("F32", "[1]", "[0," + std::string(number) + "]") + "}"), "ST11") << number;
  }
  for (const char* offsets : {"[]", "[0]", "[0,4,4]", "4", "{}"})
    EXPECT_EQ(rule_of("{\"a\":" + info("F32", "[1]", offsets) + "}"), "ST11") << offsets;
  for (const char* number : {"01", "00", "0000000001"})
    EXPECT_EQ(rule_of("{\"a\":" + info("F32", "[" + std::string(number) + "]", "[0,4]") + "}        "), "ST05");
}

TEST(Header, ST12_repeated_names) {
  EXPECT_EQ(rule_of(object_of({u8("a", 0, 4), u8("a", 0, 4)})), "ST12");
  EXPECT_EQ(rule_of(object_of({u8("a", 0, 2), u8("\\u0061", 2, 4)})), "ST12");
  EXPECT_THAT(refusal(object_of({u8("a", 0, 2), u8("a", 2, 4)})).what(),
      HasSubstr("tensor \"a\": [ST12] the name occurs twice"));
}

TEST(Header, ST13_sizes_that_overflow) {
  for (const char* shape : {"[4294967296,4294967296]", "[4611686018427387905]", "[9223372036854775808,4,0]"})
    EXPECT_EQ(rule_of("{\"a\":" + info("F32", shape, "[0,0]") + "}", 0), "ST13") << shape;
  for (const char* shape : {"[0,9223372036854775808,4]", "[18446744073709551615,0]", "[4611686018427387904,3,0]"})
    EXPECT_EQ(rule_of("{\"a\":" + info("F32", shape, "[0,0]") + "}", 0), "accepted") << shape;
}

TEST(Header, ST14_tensors_that_do_not_end_on_a_byte) {
  EXPECT_EQ(rule_of("{\"a\":" + info("F4", "[3]", "[0,2]") + "}", 2), "ST14");
  EXPECT_EQ(rule_of("{\"a\":" + info("F4", "[]", "[0,1]") + "}", 1), "ST14");
  EXPECT_EQ(rule_of("{\"a\":" + info("F4", "[2,1]", "[0,1]") + "}", 1), "accepted");
  EXPECT_EQ(rule_of("{\"a\":" + info("F6_E3M2", "[4]", "[0,3]") + "}", 3), "accepted");
}

TEST(Header, ST15_gaps_and_overlaps) {
  EXPECT_EQ(rule_of(object_of({u8("a", 0, 1), u8("b", 2, 4)})), "ST15");
  EXPECT_EQ(rule_of(object_of({u8("a", 0, 3), u8("b", 2, 4)})), "ST15");
  EXPECT_EQ(rule_of(object_of({u8("a", 4, 0)})), "ST15");
  EXPECT_EQ(rule_of(object_of({u8("a", 0, 4), u8("b", 4, 2)})), "ST15");
  EXPECT_EQ(rule_of(object_of({u8("a", 0, 4), u8("b", 2, 2)})), "ST15");
  EXPECT_EQ(rule_of(object_of({u8("a", 0, 4), u8("b", 4, 4), u8("c", 4, 4)})), "accepted");
}

TEST(Header, ST16_the_error_contains_both_sizes) {
  EXPECT_EQ(refusal("{\"a.weight\":" + info("F32", "[2,2]", "[0,12]") + "}", 12).what(),
      std::string("tensor \"a.weight\": [ST16] data_offsets span 12 bytes, but shape [2, 2] of F32 needs 16"));
}

TEST(Header, ST17_the_last_tensor_ends_the_file) {
  EXPECT_EQ(refusal(kOne, 3).code(), Code::truncated);
  EXPECT_THAT(refusal(kOne, 3).what(),
      HasSubstr("[ST17] the file ends too early (its data section has 3 bytes, the tensors need 4)"));
  EXPECT_EQ(refusal(kOne, 5).code(), Code::malformed);
  EXPECT_THAT(refusal(kOne, 5).what(), HasSubstr("[ST17] 1 byte follows the last tensor"));
  EXPECT_EQ(rule_of("{}", 1), "ST17");
}

TEST(Header, ST18_strict_headers_begin_with_a_brace) {
  EXPECT_EQ(rule_of(" " + kOne), "accepted");
  EXPECT_EQ(rule_of(" " + kOne, 4, Mode::strict), "ST18");
}

TEST(Header, ST19_strict_headers_are_padded_with_spaces) {
  EXPECT_EQ(rule_of(kOne + "  ", 4, Mode::strict), "accepted");
  EXPECT_EQ(rule_of(kOne + " \n", 4), "accepted");
  EXPECT_EQ(rule_of(kOne + " \n", 4, Mode::strict), "ST19");
}

TEST(Header, ST20_strict_refuses_repeated_metadata_keys_and_reference_uses_the_last) {
  std::string json = "{\"__metadata__\":{\"k\":\"1\",\"a\":\"2\",\"\\u006b\":\"3\"}}";
  EXPECT_EQ(rule_of(json, 0, Mode::strict), "ST20");
  EXPECT_THAT(Header::parse(bytes(json), 0).metadata(), ElementsAre(Pair("a", "2"), Pair("k", "3")));
}

TEST(Header, ST21_strict_refuses_other_forms_of_entries) {
  EXPECT_EQ(rule_of("{\"a\":[\"F32\",[1],[0,4]]}", 4, Mode::strict), "ST21");
  EXPECT_EQ(
      rule_of("{\"a\":{\"dtype\":{\"F32\":null},\"shape\":[1],\"data_offsets\":[0,4]}}", 4, Mode::strict), "ST21");
}

TEST(Header, ST22_strict_refuses_null_metadata) {
  EXPECT_EQ(rule_of("{\"__metadata__\":null}", 0, Mode::strict), "ST22");
  EXPECT_FALSE(Header::parse(bytes(std::string_view("{\"__metadata__\":null}")), 0).has_metadata());
}

TEST(Header, ST23_strict_refuses_other_fields) {
  std::string json = "{\"a\":" + info("F32", "[1]", "[0,4]", ",\"x\":1") + "}";
  EXPECT_EQ(rule_of(json), "accepted");
  EXPECT_EQ(rule_of(json, 4, Mode::strict), "ST23");
}

TEST(Header, EveryPrefixOfAHeaderIsRefused) {
  std::string json = object_of({"\"__metadata__\":{\"k\":\"\\u00e9\"}", "\"a\":" + kInfo});
  for (size_t length = 0; length < json.size(); ++length)
    EXPECT_NE(rule_of(json.substr(0, length)), "accepted") << length;
}

TEST(Header, RandomBytesAreParsedOrRefused) {
  std::mt19937 random(1);
  const std::string json = object_of({"\"__metadata__\":{\"k\":\"v\"}", u8("a", 0, 2), u8("\\u0062", 2, 4)});
  for (int round = 0; round < 20000; ++round) {
    std::string mutated = json;
    for (int i = 0; i < 3; ++i) mutated[random() % mutated.size()] = static_cast<char>(random());
    // Allocated with the exact size, so that a sanitizer reports the first byte read past its end.
    auto exact = std::make_unique<char[]>(mutated.size());
    std::copy(mutated.begin(), mutated.end(), exact.get());
    refusal({exact.get(), mutated.size()});
  }
}

}  // namespace
}  // namespace depickle::safetensors
