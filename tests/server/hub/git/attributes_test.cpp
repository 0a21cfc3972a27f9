#include "server/hub/git/attributes.h"

#include <gtest/gtest.h>

#include "server/hub/git/store_error.h"

namespace depickle::server::git {
namespace {

TEST(Attributes, TheLineOfAPathMatchesOnlyThatPath) {
  for (const char* path :
      {"w.txt", "a b/c d.txt", "a[1].txt", "sub/a*b?.txt", "#x", "!x", "a\fb\v.txt", "a\tb.txt", "a\\b.txt"}) {
    std::string line = attribute_line(path);
    MatchBudget budget;
    EXPECT_EQ(AttributeFile(line).is_lfs(path, budget), true) << line;
    EXPECT_EQ(AttributeFile(line).is_lfs(std::string("x/") + path, budget), std::nullopt) << line;
  }
}

TEST(Attributes, TheNearestFileAndItsLastLineDecide) {
  std::map<std::string, std::string> files{
      {".gitattributes", "# comment\n*.bin filter=lfs diff=lfs\nsmall.bin -filter\n"},
      {"a/.gitattributes", "*.txt filter=lfs\n*.bin !filter\n"}};
  Attributes attributes(
      [&](const std::string& path) { return files.count(path) ? std::optional(files[path]) : std::nullopt; });
  EXPECT_TRUE(attributes.is_lfs("w.bin"));
  EXPECT_FALSE(attributes.is_lfs("small.bin"));
  EXPECT_TRUE(attributes.is_lfs("a/x.txt"));
  EXPECT_FALSE(attributes.is_lfs("x.txt"));
  EXPECT_FALSE(attributes.is_lfs("a/b/w.bin"));
  EXPECT_TRUE(attributes.is_lfs("c/w.bin"));
}

TEST(Attributes, TheLastLineDecidesAmongNamesPathsAndWildcards) {
  const AttributeFile file("w.txt filter=lfs\n*.txt -filter\n/a/w.txt filter=lfs\n\\#x filter=lfs\nno-filter text\n");
  MatchBudget budget;
  EXPECT_EQ(file.is_lfs("w.txt", budget), false) << "the wildcard comes later";
  EXPECT_EQ(file.is_lfs("a/w.txt", budget), true);
  EXPECT_EQ(file.is_lfs("b/a/w.txt", budget), false) << "a pattern with a slash matches only from the folder";
  EXPECT_EQ(file.is_lfs("#x", budget), true);
  EXPECT_EQ(file.is_lfs("no-filter", budget), std::nullopt);
}

// 262,144 lines and 10,000 files took hours.
TEST(Attributes, ManyLinesAndFilesAreFastOrRefused) {
  std::string names, wildcards;
  for (int i = 0; i < 40'000; ++i) names += attribute_line("file" + std::to_string(i) + ".txt");
  for (int i = 0; i < 30'000; ++i) wildcards += "*" + std::to_string(i) + "*x filter=lfs\n";
  Attributes exact([&](const std::string&) { return names; });
  int lfs = 0;
  for (int i = 0; i < 10'000; ++i) lfs += exact.is_lfs("file" + std::to_string(i * 8) + ".txt");
  EXPECT_EQ(lfs, 5'000);
  Attributes hostile([&](const std::string&) { return wildcards; }, MatchBudget(10'000'000));
  try {
    // Each file takes at least one step for each pattern.
    for (int i = 0; i < 400; ++i) hostile.is_lfs("file" + std::to_string(i) + ".txt");
    FAIL() << "12 million patterns were matched";
  } catch (const StoreError& error) {
    EXPECT_EQ(error.reason(), StoreReason::too_large);
  }
}

TEST(Attributes, TheFilesOfManyFoldersAreLimited) {
  const std::string large(1 << 20, '#');
  Attributes attributes([&](const std::string&) { return large; });
  EXPECT_THROW(for (int i = 0; i < 200; ++i) attributes.is_lfs(std::to_string(i) + "/w.bin"), StoreError);
}

}  // namespace
}  // namespace depickle::server::git
