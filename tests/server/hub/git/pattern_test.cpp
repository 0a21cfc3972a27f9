#include "server/hub/git/pattern.h"

#include <gtest/gtest.h>

#include "server/hub/git/ignore.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::git {
namespace {

bool matches(std::string_view pattern, std::string_view path) {
  MatchBudget budget;
  return pattern_matches(pattern, path, budget);
}

TEST(Pattern, MatchesAsInGit) {
  EXPECT_TRUE(matches("*.bin", "a/b/w.bin"));
  EXPECT_TRUE(matches("saved_model/**/*", "saved_model/x"));
  EXPECT_TRUE(matches("saved_model/**/*", "saved_model/a/b/x"));
  EXPECT_FALSE(matches("saved_model/**/*", "other/saved_model/x"));
  EXPECT_TRUE(matches("**/w.bin", "w.bin"));
  EXPECT_TRUE(matches("**/w.bin", "a/b/w.bin"));
  EXPECT_TRUE(matches("*tfevents*", "logs/events.out.tfevents.1"));
  EXPECT_FALSE(matches("/w.bin", "a/w.bin"));
  EXPECT_FALSE(matches("a/*", "a/b/c"));
  EXPECT_FALSE(matches("*.bin", "w.bin.txt"));
  EXPECT_TRUE(matches("[[:alpha:]]?[!b]\\*", "x1c*"));
  EXPECT_FALSE(matches("[[:alpha:]]?[!b]\\*", "x1b*"));
  EXPECT_TRUE(matches("[", "["));
}

TEST(Pattern, HostilePatternsAreMatchedInBoundedTime) {
  std::string stars, path;
  for (int i = 0; i < 300; ++i) stars += "**/";
  for (int i = 0; i < 300; ++i) path += "a/";
  EXPECT_FALSE(matches(stars + "x", path + "y"));
  std::string letters;
  for (int i = 0; i < 100; ++i) letters += "*a";
  EXPECT_FALSE(matches(letters + "b", std::string(255, 'a')));
  MatchBudget small(100);
  EXPECT_THROW(pattern_matches(letters + "b", std::string(255, 'a'), small), StoreError);
}

TEST(Ignore, TheLastMatchingLineDecides) {
  Ignore ignore("# comment\n*.log\n!keep.log\nbuild/\n/top\n\\!x\nspaces  \n!build/a\n");
  EXPECT_TRUE(ignore.matches("a/b.log"));
  EXPECT_FALSE(ignore.matches("keep.log"));
  EXPECT_TRUE(ignore.matches("a/build/b"));
  EXPECT_FALSE(ignore.matches("build")) << "a file";
  EXPECT_TRUE(ignore.matches("build/a")) << "a file in an ignored folder cannot be included again";
  EXPECT_TRUE(ignore.matches("top"));
  EXPECT_FALSE(ignore.matches("a/top"));
  EXPECT_TRUE(ignore.matches("!x"));
  EXPECT_TRUE(ignore.matches("spaces"));
}

TEST(Ignore, TooManyPatternsAreRefused) {
  std::string rules;
  for (int i = 0; i < 300'000; ++i) rules += "*" + std::to_string(i) + "*x\n";
  Ignore ignore(rules, MatchBudget(1'000'000));
  EXPECT_THROW(for (int i = 0; i < 4; ++i) ignore.matches("file" + std::to_string(i) + ".txt"), StoreError);
}

}  // namespace
}  // namespace depickle::server::git
