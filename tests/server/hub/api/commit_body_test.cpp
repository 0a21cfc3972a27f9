#include "server/hub/api/commit_body.h"

#include <unistd.h>

#include <filesystem>

#include <gmock/gmock.h>

#include "server/hub/git/store_error.h"

namespace depickle::server::api {
namespace {

constexpr std::string_view kHeader = R"({"key":"header","value":{"summary":"title","description":"why"}})";

class CommitBodyTest : public testing::Test {
 protected:
  CommitBodyTest() {
    folder_ = std::filesystem::temp_directory_path() / ("depickle-commit-body-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder_);
  }
  ~CommitBodyTest() override { std::filesystem::remove_all(folder_); }

  repos::CommitRequest parse(std::string_view text, size_t block = 7) {
    CommitBody body(content::Spool(folder_, limits_.commit_inline_bytes), limits_);
    for (size_t at = 0; at < text.size(); at += block) {
      std::string_view piece = text.substr(at, block);
      body.take(std::as_bytes(std::span(piece.data(), piece.size())));
    }
    return body.finish();
  }
  std::string with_file(std::string_view value) {
    return std::string(kHeader) + "\n{\"key\":\"file\",\"value\":" + std::string(value) + "}\n";
  }
  std::string file(std::string_view value) {
    repos::CommitRequest request = parse(with_file(value));
    EXPECT_EQ(request.operations.size(), 1u);
    const repos::AddFile& add = std::get<repos::AddFile>(request.operations.at(0));
    return add.path + "=" + add.content.all();
  }
  std::optional<StoreReason> reason(std::string_view text) {
    try {
      parse(text);
      return std::nullopt;
    } catch (const StoreError& error) {
      return error.reason();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::malformed);
      return StoreReason::malformed;
    }
  }

  StoreLimits limits_;
  std::filesystem::path folder_;
};

TEST_F(CommitBodyTest, ReadsEveryKindOfLine) {
  std::string text = std::string(kHeader) + R"(
{"key":"file","value":{"content":"aGVsbG8=","path":"a/b.txt","encoding":"base64"}}

{"key":"lfsFile","value":{"path":"w.bin","algo":"sha256","oid":"ab","size":12}}
{"key":"lfsFile","value":{"path":"copy.bin","algo":"sha256","oid":"ab"}}
{"key":"deletedFile","value":{"path":"old"}}
{"key":"deletedFolder","value":{"path":"dir/"}}
{"key":"copyFile","value":{"path":"to","srcPath":"from","srcRevision":"v1"}})";
  for (size_t block : {1, 7, 10'000}) {
    repos::CommitRequest request = parse(text, block);
    EXPECT_EQ(request.title, "title");
    EXPECT_EQ(request.message, "why");
    ASSERT_EQ(request.operations.size(), 6u);
    EXPECT_EQ(std::get<repos::AddFile>(request.operations[0]).path, "a/b.txt");
    EXPECT_EQ(std::get<repos::AddFile>(request.operations[0]).content.all(), "hello");
    EXPECT_EQ(std::get<repos::AddLfsFile>(request.operations[1]).size_bytes, 12u);
    EXPECT_EQ(std::get<repos::AddLfsFile>(request.operations[2]).size_bytes, std::nullopt);
    EXPECT_EQ(std::get<repos::DeleteFile>(request.operations[3]).path, "old");
    EXPECT_EQ(std::get<repos::DeleteFolder>(request.operations[4]).path, "dir/");
    EXPECT_EQ(std::get<repos::CopyFile>(request.operations[5]).from_revision, "v1");
  }
}

TEST_F(CommitBodyTest, TakesContentAtAnyPosition) {
  EXPECT_EQ(file(R"({"content":"aGk=","path":"p","encoding":"base64"})"), "p=hi");
  EXPECT_EQ(file(R"({"path":"content","encoding":"base64" , "content" : "aGk="})"), "content=hi");
  EXPECT_EQ(file(R"({"path":"p","content":"","encoding":"base64"})"), "p=");
  EXPECT_EQ(file(R"({"path":"p","content":"say \"hi\"\n\u00e4","encoding":"utf-8"})"), "p=say \"hi\"\n\xc3\xa4");
  EXPECT_EQ(file(R"({"path":"p","content":"aGk="})"), "p=aGk=");
}

TEST_F(CommitBodyTest, SeparatesFiles) {
  std::string text(kHeader);
  for (int i = 0; i < 500; ++i)
    text += "\n{\"key\":\"file\",\"value\":{\"content\":\"aGVsbG8=\",\"path\":\"" + std::to_string(i) +
            "\",\"encoding\":\"base64\"}}";
  repos::CommitRequest request = parse(text, 4096);
  ASSERT_EQ(request.operations.size(), 500u);
  for (const repos::Operation& operation : request.operations)
    EXPECT_EQ(std::get<repos::AddFile>(operation).content.all(), "hello");
}

TEST_F(CommitBodyTest, RejectsInvalidCommits) {
  const std::string header(kHeader);
  for (const std::string& text :
      std::vector<std::string>{"", "\n\n", "{", "[]", "nonsense", R"({"key":"file","value":{}})",
          header + "\n{\"key\":\"bomb\",\"value\":{}}", header + "\n{\"key\":\"file\"}",
          with_file(R"({"path":"p","encoding":"base64"})"), with_file(R"({"content":"aGk=","encoding":"base64"})"),
          with_file(R"({"path":"p","content":"aGk","encoding":"base64"})"),
          with_file(R"({"path":"p","content":"a=Gk","encoding":"base64"})"),
          with_file(R"({"path":"p","content":"aG!=","encoding":"base64"})"),
          with_file(R"({"path":"p","content":"aGk=","encoding":"rot13"})"),
          with_file(R"({"path":"p","content":"aGk=","content":"aGk=","encoding":"base64"})"),
          with_file(R"({"path":"p","content":"aG)"),
          with_file("{\"path\":\"p\",\"content\":\"aG\nk=\",\"encoding\":\"base64\"}"),
          header + "\n{\"key\":\"lfsFile\",\"value\":{\"path\":\"p\"}}"})
    EXPECT_EQ(reason(text), StoreReason::malformed) << text;
}

TEST_F(CommitBodyTest, LimitsOneCommit) {
  EXPECT_EQ(reason(std::string(kHeader) + "\n" + std::string(2 << 20, '[')), StoreReason::too_large);
  EXPECT_EQ(
      reason(with_file("{\"path\":\"p\",\"encoding\":\"utf-8\",\"content\":\"" + std::string(2 << 20, '.') + "\"}")),
      StoreReason::too_large)
      << "plain text";
  limits_.commit_operations = 2;
  std::string deletion = "\n{\"key\":\"deletedFile\",\"value\":{\"path\":\"p\"}}";
  EXPECT_EQ(reason(std::string(kHeader) + deletion), std::nullopt);
  EXPECT_EQ(reason(std::string(kHeader) + deletion + deletion + deletion), StoreReason::too_large);
  limits_.commit_inline_bytes = 100;
  std::string half = "\n{\"key\":\"file\",\"value\":{\"path\":\"p\",\"encoding\":\"base64\",\"content\":\"" +
                     std::string(80, 'A') + "\"}}";
  EXPECT_EQ(reason(std::string(kHeader) + half), std::nullopt);
  EXPECT_EQ(reason(std::string(kHeader) + half + half), StoreReason::too_large) << "120 bytes in two files of 60";
}

}  // namespace
}  // namespace depickle::server::api
