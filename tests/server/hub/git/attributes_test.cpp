#include "server/hub/git/attributes.h"

#include <gtest/gtest.h>

namespace depickle::server::git {
namespace {

TEST(Attributes, PatternsMatchAsInGit) {
  EXPECT_TRUE(attribute_matches("*.bin", "a/b/w.bin"));
  EXPECT_TRUE(attribute_matches("saved_model/**/*", "saved_model/x"));
  EXPECT_TRUE(attribute_matches("saved_model/**/*", "saved_model/a/b/x"));
  EXPECT_FALSE(attribute_matches("saved_model/**/*", "other/saved_model/x"));
  EXPECT_TRUE(attribute_matches("**/w.bin", "w.bin"));
  EXPECT_TRUE(attribute_matches("**/w.bin", "a/b/w.bin"));
  EXPECT_TRUE(attribute_matches("*tfevents*", "logs/events.out.tfevents.1"));
  EXPECT_FALSE(attribute_matches("/w.bin", "a/w.bin"));
  EXPECT_FALSE(attribute_matches("a/*", "a/b/c"));
  EXPECT_FALSE(attribute_matches("*.bin", "w.bin.txt"));
}

TEST(Attributes, TheLineOfAPathMatchesOnlyThatPath) {
  for (const char* path : {"w.txt", "a b/c d.txt", "a[1].txt", "sub/a*b?.txt", "#x", "!x"}) {
    std::string line = attribute_line(path);
    EXPECT_TRUE(attribute_matches(line.substr(0, line.find(" filter")), path)) << line;
    EXPECT_FALSE(attribute_matches(line.substr(0, line.find(" filter")), std::string("x/") + path)) << line;
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

TEST(Attributes, HostilePatternsAreMatchedInBoundedTime) {
  std::string stars, path;
  for (int i = 0; i < 300; ++i) stars += "**/";
  for (int i = 0; i < 300; ++i) path += "a/";
  EXPECT_FALSE(attribute_matches(stars + "x", path + "y"));
  std::string letters;
  for (int i = 0; i < 100; ++i) letters += "*a";
  EXPECT_FALSE(attribute_matches(letters + "b", std::string(255, 'a')));
}

}  // namespace
}  // namespace depickle::server::git
