#include "depickle/base/json.h"

#include <cmath>

#include <gtest/gtest.h>

namespace depickle {
namespace {

using namespace std::literals;

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(JsonString, EscapesAsTheReference) {
  EXPECT_EQ(json_string("\b\t\n\f\r\"\\"), R"("\b\t\n\f\r\"\\")");
  EXPECT_EQ(json_string("\0\x1f\x1b"sv), R"("\u0000\u001f\u001b")");
  EXPECT_EQ(json_string("/\x7f é🙂"), "\"/\x7f é🙂\"") << "everything else is not escaped";
}

TEST(JsonString, InvalidUtf8BecomesTheReplacementCharacter) {
  EXPECT_EQ(json_string("a\xff\xed\xa0\x80z"), "\"a\ufffd\ufffd\ufffd\ufffdz\"");
}

TEST(JsonWriter, IndentsByTwo) {
  std::string out;
  JsonWriter json(out);
  json.object().key("schema").value("x/1").key("empty").array().end().key("tensors").array();
  json.object()
      .key("shape")
      .inline_array()
      .value(uint64_t{2})
      .value(uint64_t{3})
      .end()
      .key("tied")
      .value(true)
      .key("file")
      .null()
      .end();
  json.end().end();
  EXPECT_EQ(out, R"({
  "schema": "x/1",
  "empty": [],
  "tensors": [
    {
      "shape": [2, 3],
      "tied": true,
      "file": null
    }
  ]
}
)");
}

TEST(JsonWriter, CompactHasNoWhitespace) {
  std::string out;
  JsonWriter(out, JsonWriter::Style::compact)
      .object()
      .key("a")
      .inline_array()
      .value(1.5)
      .value(false)
      .end()
      .key("b")
      .value("c")
      .end();
  EXPECT_EQ(out, R"({"a":[1.5,false],"b":"c"})");
}

TEST(JsonWriter, NumbersThatJsonCannotRepresentAreNull) {
  std::string out;
  JsonWriter(out, JsonWriter::Style::compact)
      .array()
      .value(NAN)
      .value(INFINITY)
      .value(uint64_t{18446744073709551615u})
      .end();
  EXPECT_EQ(out, "[null,null,18446744073709551615]");
}

}  // namespace
}  // namespace depickle
