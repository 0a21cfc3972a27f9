#include "depickle/base/json_value.h"

#include <gmock/gmock.h>

#include "tests/error_of.h"

namespace depickle {
namespace {

using testing::HasSubstr;

TEST(JsonValue, ReadsValuesOfEachType) {
  const JsonValue value = JsonValue::parse(R"({"text":"a\u00e9","number":18446744073709551615,"yes":true,"none":null,
    "list":[1,"b",{"c":2}]})");
  EXPECT_TRUE(value.is_object());
  EXPECT_EQ(value["text"].text(), "a\xc3\xa9");
  EXPECT_EQ(value["number"].number(), UINT64_MAX);
  EXPECT_EQ(value["yes"].boolean(), true);
  EXPECT_TRUE(value["none"].exists());
  ASSERT_EQ(value["list"].items().size(), 3u);
  EXPECT_EQ(value["list"].items()[2]["c"].number(), 2u);
  EXPECT_EQ(value.members()[4].first, "list");
}

TEST(JsonValue, ReturnsNothingForMissingMembersAndOtherTypes) {
  const JsonValue value = JsonValue::parse(R"({"text":"a","negative":-1,"fraction":1.5,"list":[]})");
  EXPECT_FALSE(value["missing"].exists());
  EXPECT_FALSE(value["missing"]["deeper"]["still"].exists());
  EXPECT_FALSE(JsonValue().exists());
  EXPECT_EQ(value["text"].number(), std::nullopt);
  EXPECT_EQ(value["text"].boolean(), std::nullopt);
  EXPECT_EQ(value["list"].text(), std::nullopt);
  EXPECT_EQ(value["list"].string(), "");
  EXPECT_EQ(value["negative"].number(), std::nullopt);
  EXPECT_EQ(value["fraction"].number(), std::nullopt);
  EXPECT_FALSE(value["text"].is_true());
  EXPECT_TRUE(value["text"].items().empty());
  EXPECT_TRUE(value["list"].members().empty());
  EXPECT_FALSE(value["list"]["0"].exists());
}

TEST(JsonValue, KeepsTheDocumentAlive) {
  const JsonValue item = JsonValue::parse(R"([{"a":"b"}])").items()[0];
  EXPECT_EQ(item["a"].string(), "b");
}

TEST(JsonValue, RefusesTextThatIsNotJson) {
  for (std::string_view text : {"", " ", "{", "[1,]", "{} {}", "\"\xff\"", "nonsense"})
    EXPECT_EQ(error_of([&] { JsonValue::parse(text); }).code(), Code::malformed) << text;
  EXPECT_THAT(refusal([] { JsonValue::parse({}); }), HasSubstr("not JSON"));
}

TEST(JsonValue, LimitsDepthAndNumberOfValues) {
  const JsonValue::Limits limits{.max_depth = 4, .max_values = 5};
  EXPECT_TRUE(JsonValue::parse("[[[1]]]", limits).is_array());
  EXPECT_EQ(error_of([&] { JsonValue::parse("[[[[[1]]]]]", limits); }).code(), Code::malformed);
  EXPECT_TRUE(JsonValue::parse(R"({"a":[1,2,3]})", limits).is_object());
  EXPECT_EQ(error_of([&] { JsonValue::parse(R"({"a":[1,2,3,4]})", limits); }).code(), Code::limit);
}

}  // namespace
}  // namespace depickle
