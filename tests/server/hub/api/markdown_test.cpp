#include "server/hub/api/markdown.h"

#include <time.h>

#include <gmock/gmock.h>

#include "depickle/base/json_value.h"

namespace depickle::server::api {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string tree(std::string_view text, const MarkdownLimits& limits = {}) {
  std::string out;
  JsonWriter json(out, JsonWriter::Style::compact);
  write_markdown(json, text, MarkdownBudget(limits), limits);
  return out;
}

/// Returns the JSON of the children of the document, which must be complete.
std::string children(std::string_view text) {
  constexpr std::string_view kBegin = R"({"children":[)", kEnd = R"(],"truncated":false,"plain":false})";
  std::string out = tree(text);
  EXPECT_THAT(out, testing::AllOf(testing::StartsWith(kBegin), testing::EndsWith(kEnd)));
  return out.substr(kBegin.size(), out.size() - kBegin.size() - kEnd.size());
}

std::string repeated(std::string_view piece, size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += piece;
  return text;
}

double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

size_t depth_of(const JsonValue& node) {
  size_t depth = 0;
  for (const JsonValue& child : node["children"].items()) depth = std::max(depth, depth_of(child));
  return depth + 1;
}

TEST(Markdown, BecomesATree) {
  EXPECT_EQ(children("# A **b**"), R"({"type":"heading","level":1,"children":[{"type":"text","text":"A "},)"
                                   R"({"type":"strong","children":[{"type":"text","text":"b"}]}]})");
  EXPECT_EQ(children("3. a\n4. *b* ~~c~~ `d`"),
      R"({"type":"list","ordered":true,"start":3,"children":[)"
      R"({"type":"item","children":[{"type":"paragraph","children":[{"type":"text","text":"a"}]}]},)"
      R"({"type":"item","children":[{"type":"paragraph","children":[)"
      R"({"type":"emphasis","children":[{"type":"text","text":"b"}]},{"type":"text","text":" "},)"
      R"({"type":"strikethrough","children":[{"type":"text","text":"c"}]},{"type":"text","text":" "},)"
      R"({"type":"code","text":"d"}]}]}]})");
  EXPECT_EQ(children("|a|b|\n|-|-|\n|1|2|"),
      R"({"type":"table","children":[{"type":"table_row","children":[)"
      R"({"type":"table_cell","children":[{"type":"text","text":"a"}]},)"
      R"({"type":"table_cell","children":[{"type":"text","text":"b"}]}]},{"type":"table_row","children":[)"
      R"({"type":"table_cell","children":[{"type":"text","text":"1"}]},)"
      R"({"type":"table_cell","children":[{"type":"text","text":"2"}]}]}]})");
  EXPECT_EQ(children("[a](b 'c')\n![d](e)\n\n---\n\n```x\nf\n```\n> g"),
      R"({"type":"paragraph","children":[{"type":"link","url":"b","children":[{"type":"text","text":"a"}]},)"
      R"({"type":"text","text":"\n"},{"type":"image","url":"e","children":[{"type":"text","text":"d"}]}]},)"
      R"({"type":"thematic_break"},{"type":"code_block","text":"f\n"},)"
      R"({"type":"block_quote","children":[{"type":"paragraph","children":[{"type":"text","text":"g"}]}]})");
  EXPECT_THAT(children("- [x] done\n- [ ] open"),
      testing::AllOf(HasSubstr("\"checked\":true"), HasSubstr("\"checked\":false")));
  EXPECT_EQ(children(""), "");
}

TEST(Markdown, HtmlIsTextWithoutComments) {
  EXPECT_EQ(children("a <b onclick=x>c</b> <!-- d --> e"),
      R"({"type":"paragraph","children":[{"type":"text","text":"a <b onclick=x>c</b>  e"}]})");
  EXPECT_EQ(children("<script>\nalert(1)\n</script>"),
      R"({"type":"paragraph","children":[{"type":"text","text":"<script>\nalert(1)\n</script>"}]})");
  EXPECT_EQ(children("<!-- a\n\nb -->"), R"({"type":"paragraph","children":[]})");
}

TEST(Markdown, FrontMatterIsOmitted) {
  EXPECT_EQ(children("---\nlicense: mit\n---\na"), children("a"));
  EXPECT_EQ(children("---\r\nlicense: mit\r\n--- \r\na"), children("a"));
  EXPECT_THAT(children("---\nnot closed"), HasSubstr("not closed"));
}

// Each text takes seconds to hours in a parser with quadratic time.
TEST(Markdown, HostileTextsTakeBoundedTimeAndSpace) {
  constexpr size_t kBytes = 256 << 10;
  const std::string wide = repeated("|a", 20'000) + "|\n" + repeated("|-", 20'000) + "|\n";
  const std::vector<std::string> hostile = {"# a" + std::string(kBytes, ' '), repeated("a\n", kBytes),
      repeated("![[]()", kBytes), repeated("![l", kBytes), repeated("[a](", kBytes), repeated("[", kBytes),
      repeated(">", kBytes), repeated("> ", kBytes), repeated("- ", 4000) + "a\n" + repeated("\n", kBytes),
      repeated(">", 2000) + "a\n" + repeated("b\n", kBytes),
      repeated("|", kBytes / 2) + "\n" + repeated("-|", kBytes / 2), wide + repeated("|x\n", kBytes),
      repeated("|a", 99) + "|\n" + repeated("|-", 99) + "|\n" + repeated("|\n", kBytes), repeated("*a_ ", kBytes),
      repeated("~a~~b ", kBytes), repeated("<a b=\"", kBytes), repeated("&#0;", kBytes),
      "[a]: " + std::string(60'000, 'x') + "\n\n" + repeated("[a] ", 16'000), std::string(kBytes, '\0'),
      repeated("\xff", kBytes), repeated("- [ ] a\n", kBytes), repeated("1. ", kBytes)};
  for (const std::string& text : hostile) {
    const double begin = thread_seconds();
    const std::string out = tree(text);
    EXPECT_LT(thread_seconds() - begin, 5) << text.substr(0, 20);
    EXPECT_LT(out.size(), 8u << 20) << text.substr(0, 20);
    EXPECT_LE(depth_of(JsonValue::parse(out)), 36u) << text.substr(0, 20);
  }
}

TEST(Markdown, LargeTextsAreCut) {
  const std::string cut = tree(repeated("a b\n\n", 200'000), {.text_bytes = 100});
  EXPECT_THAT(cut, HasSubstr("\"truncated\":true,\"plain\":false"));
  EXPECT_LT(cut.size(), 3000u);
  EXPECT_THAT(tree(repeated("a\n\n", 3000), {.nodes = 100}), HasSubstr("\"truncated\":true"));
  EXPECT_THAT(tree("\xc3\xa9\xc3\xa9", {.text_bytes = 3}), HasSubstr("\"text\":\"\xc3\xa9\"")) << "between characters";
  EXPECT_EQ(tree("[a]: b", {.brackets = 0}),
      R"({"children":[{"type":"code_block","text":"[a]: b"}],"truncated":false,"plain":true})");
  EXPECT_THAT(tree("|a|\n|-|", {.columns = 1}), Not(HasSubstr("table")));
  EXPECT_EQ(depth_of(JsonValue::parse(tree(repeated("> ", 50) + "deep", {.depth = 3}))), 5u);
}

}  // namespace
}  // namespace depickle::server::api
