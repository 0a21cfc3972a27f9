#include "depickle/repo/tree_diff.h"

#include <gmock/gmock.h>

#include "tests/repo/repository.h"

namespace depickle::repo {
namespace {

using testing::ElementsAre;

std::vector<std::string> described(const std::vector<FileChange>& changes) {
  std::vector<std::string> lines;
  for (const FileChange& change : changes)
    lines.push_back(std::string(name(change.change)) + " " + std::string(name(change.kind)) + " " + change.path +
                    (change.is_expected() ? "" : " !"));
  return lines;
}

TEST(TreeDiff, Lists_the_changes_and_expects_only_new_weights_and_indexes) {
  EXPECT_THAT(described(tree_diff(files_named({"config.json", "pytorch_model.bin", "README.md"}),
                  files_named({"config.json", "pytorch_model.bin", "model.safetensors", "model.safetensors.index.json",
                                  "modeling.py", "new.bin"},
                      {{"config.json", "another"}}))),
      ElementsAre("deleted other README.md !", "changed config config.json !", "added weights model.safetensors",
          "added index model.safetensors.index.json", "added code modeling.py !", "added pickle new.bin !"));
}

TEST(TreeDiff, Does_not_expect_changes_of_existing_weights) {
  EXPECT_THAT(described(tree_diff(files_named({"model.safetensors"}),
                  files_named({"model.safetensors"}, {{"model.safetensors", "another"}}))),
      ElementsAre("changed weights model.safetensors !"));
  EXPECT_THAT(described(tree_diff(files_named({"a"}), files_named({"a"}))), ElementsAre());
}

}  // namespace
}  // namespace depickle::repo
