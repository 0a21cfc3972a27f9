#include "depickle/repo/previous.h"

#include <gtest/gtest.h>

#include "tests/repo/repository.h"

namespace depickle::repo {
namespace {

using Status = hub::DiscussionStatus;

const std::vector<std::string> kBase = {"config.json", "pytorch_model.bin"};

struct Given {
  std::string title{kTitle}, author = "me", base = "now";
  Status status = Status::open;
  std::vector<std::string> adds = {"model.safetensors"};
  std::string id = "ours";
};

Relation relation_of(const Given& given, bool after_conversion = false) {
  std::vector<std::string> names = kBase;
  names.insert(names.end(), given.adds.begin(), given.adds.end());
  PullRequest request{.discussion = {},
      .base = given.base,
      .head = "head",
      .files = files_named(names, {{"model.safetensors", given.id}})};
  request.discussion = {
      .number = 3, .title = given.title, .status = given.status, .is_pull_request = true, .author = given.author};
  Intent intent{.commit = "now",
      .author = "me",
      .files = files_named(kBase),
      .new_files = {"model.safetensors"},
      .converted = {}};
  if (after_conversion)
    intent.converted = {{.path = "model.safetensors", .size_bytes = 10, .blob_id = {}, .sha256 = "ours"}};
  return relation(request, plan(request.files, indexes({})), intent);
}

TEST(Relation, Is_a_candidate_if_it_is_open_on_the_same_commit_and_leaves_nothing_to_do) {
  EXPECT_EQ(relation_of({}), Relation::candidate);
  EXPECT_EQ(relation_of({.title = "safe weights", .author = "somebody"}), Relation::candidate);
  EXPECT_EQ(relation_of({.status = Status::draft}), Relation::candidate);
  EXPECT_EQ(relation_of({.id = "theirs"}, true), Relation::candidate);
}

TEST(Relation, Is_same_only_if_its_files_are_exactly_the_converted_ones) {
  EXPECT_EQ(relation_of({}, true), Relation::same);
  EXPECT_EQ(relation_of({.adds = {"model.safetensors", "modeling.py"}}, true), Relation::candidate);
}

TEST(Relation, Is_none_if_closed_or_merged) {
  EXPECT_EQ(relation_of({.status = Status::closed}), Relation::none);
  EXPECT_EQ(relation_of({.status = Status::merged}), Relation::none);
}

TEST(Relation, Is_stale_only_if_it_has_our_author_and_title_and_an_older_commit) {
  EXPECT_EQ(relation_of({.base = "before"}), Relation::stale);
  EXPECT_EQ(relation_of({.author = "somebody", .base = "before"}), Relation::part);
  EXPECT_EQ(relation_of({.title = "Another title", .base = "before"}), Relation::part);
}

TEST(Relation, Is_a_candidate_with_equal_files_from_another_author_on_an_older_commit) {
  EXPECT_EQ(relation_of({.author = "somebody", .base = "before"}, true), Relation::candidate);
  EXPECT_EQ(relation_of({.author = "somebody", .base = "before", .id = "theirs"}, true), Relation::part);
}

TEST(Relation, Does_not_depend_on_the_title_alone) {
  EXPECT_EQ(relation_of({.author = "somebody", .adds = {"NOTES.md"}}), Relation::none);
}

TEST(MergeBase, Is_the_first_common_commit) {
  auto log = [](std::initializer_list<const char*> ids) {
    std::vector<hub::Commit> commits;
    for (const char* id : ids) commits.push_back({.id = id});
    return commits;
  };
  EXPECT_EQ(merge_base(log({"p2", "p1", "b", "a"}), log({"d", "c", "b", "a"})), "b");
  EXPECT_EQ(merge_base(log({"b", "a"}), log({"b", "a"})), "b");
  EXPECT_EQ(merge_base(log({"x"}), log({"b", "a"})), std::nullopt);
}

}  // namespace
}  // namespace depickle::repo
