#include "server/hub/repos/import.h"
#include "tests/server/hub/store_fixture.h"

namespace depickle::server::repos {
namespace {

class ImportTest : public StoreTest {
 protected:
  ImportTest() : StoreTest({.regular_file_bytes = 100'000}) {}
  void write(const std::string& path, const std::string& text) {
    std::filesystem::path file = folder_.path() / "in" / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }
  std::vector<Imported> import() {
    std::vector<Imported> imported;
    import_folder(*store_, folder_.path() / "in", [&](const Imported& one) { imported.push_back(one); });
    return imported;
  }
};

TEST_F(ImportTest, FoldersAreImportedOnce) {
  std::string large(150'000, 'x');
  write("org/demo/config.json", "{}");
  write("org/demo/sub/large.txt", large);
  write("org/demo/w.bin", "weights");
  write("org/demo/.cache/x", "left out");
  write("me/other/README.md", "# other");
  std::filesystem::create_symlink("config.json", folder_.path() / "in/org/demo/link.json");
  std::vector<Imported> imported = import();
  ASSERT_EQ(imported.size(), 2u);
  EXPECT_EQ(imported[1].id.full(), "org/demo");
  EXPECT_EQ(imported[1].files, 4u);
  EXPECT_FALSE(imported[1].existed);
  RepoInfo info = store_->repos().at(id("org/demo"));
  EXPECT_EQ(content(info, "sub/large.txt"), large);
  EXPECT_EQ(content(info, "link.json"), "{}");
  EXPECT_EQ(content(info, "w.bin"), "weights");
  EXPECT_EQ(git(info, "ls-tree -r --name-only main"), ".gitattributes\nconfig.json\nlink.json\nsub/large.txt\nw.bin\n");
  write("org/demo/new.txt", "ignored");
  imported = import();
  EXPECT_TRUE(imported[0].existed && imported[1].existed);
  EXPECT_FALSE(store_->repo(info).find_entry(store_->repo(info).commit_at("main"), "new.txt"));
}

TEST_F(ImportTest, AFolderWithAnAtSignBecomesAPullRequest) {
  write("org/demo/config.json", "{}");
  write("org/demo@1/config.json", "{\"a\": 1}");
  write("org/demo@1/PULL_REQUEST.md", "A title\n\nWhat it\n\ndoes.\n");
  write("org/demo@2/more.txt", "more");
  std::vector<Imported> imported = import();
  ASSERT_EQ(imported.size(), 1u);
  EXPECT_EQ(imported[0].pull_requests, 2u);
  RepoInfo info = store_->repos().at(id("org/demo"));
  EXPECT_EQ(content(info, "config.json"), "{}");
  EXPECT_EQ(git(info, "show refs/pr/1:config.json"), "{\"a\": 1}");
  EXPECT_EQ(git(info, "ls-tree -r --name-only refs/pr/1"), ".gitattributes\nconfig.json\n");
  EXPECT_EQ(git(info, "show refs/pr/2:more.txt"), "more");
  Repo repo = store_->repo(info);
  DiscussionDetails first = Discussions(repo).details(1, false);
  EXPECT_EQ(first.discussion.title, "A title");
  EXPECT_EQ(first.events.at(0).text, "What it\n\ndoes.\n");
  EXPECT_EQ(Discussions(repo).at(2).title, "demo@2");
  EXPECT_TRUE(import()[0].existed);
  EXPECT_EQ(Discussions(repo).list({}).total, 2u);
}

TEST_F(ImportTest, AFailedImportLeavesNoRepository) {
  write("org/demo/config.json", "{}");
  write("org/demo/git~1", "hostile");
  EXPECT_THROW(import(), Error);
  EXPECT_FALSE(store_->repos().find(id("org/demo")));
  std::filesystem::remove(folder_.path() / "in/org/demo/git~1");
  EXPECT_EQ(import().size(), 1u);
}

TEST_F(ImportTest, AKilledImportLeavesNoRepository) {
  RepoInfo half = store_->repos().prepare(id("org/demo"), {}, "org");
  EXPECT_FALSE(store_->repos().find(id("org/demo")));
  std::filesystem::path git_folder = store_->repo(half).git_folder();
  reopen();
  EXPECT_FALSE(std::filesystem::exists(git_folder));
  write("org/demo/config.json", "{}");
  EXPECT_EQ(import().size(), 1u);
}

}  // namespace
}  // namespace depickle::server::repos
