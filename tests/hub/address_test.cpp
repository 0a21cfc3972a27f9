#include "depickle/hub/address.h"

#include <gmock/gmock.h>

#include "tests/error_of.h"

namespace depickle::hub {
namespace {

using testing::HasSubstr;

constexpr std::string_view kHub = "http://127.0.0.1:8080/hf";

Address at(std::string_view text) { return parse_address(text, kHub); }

TEST(RepoId, AcceptsTheIdsThatTheHubAccepts) {
  EXPECT_EQ(RepoId::parse("org/name.v1_2-x").name(), "org/name.v1_2-x");
  EXPECT_EQ(RepoId::parse("gpt2").folder_name(), "models--gpt2");
  EXPECT_EQ(RepoId::parse("a/b", RepoType::dataset).folder_name(), "datasets--a--b");
  EXPECT_EQ(RepoId::parse("a/b", RepoType::dataset).page_path(), "/datasets/a/b");
  for (std::string_view bad : {"", "/", "a/", "/b", "a/b/c", "-a/b", "a/b-", "a/.b", "a/b.", "a--b/c", "a/b..c",
           "a/b.git", "a/b c", "a/\xc3\xa9", "a/b\n", "a\\b"})
    EXPECT_EQ(error_of([&] { RepoId::parse(bad); }).code(), Code::malformed) << bad;
  EXPECT_EQ(error_of([] { RepoId::parse("a/" + std::string(95, 'b')); }).code(), Code::malformed);
}

TEST(Address, ParsesTheFormOfHuggingfaceHub) {
  EXPECT_EQ(at("hf://me/demo").repo.name(), "me/demo");
  EXPECT_EQ(at("hf://me/demo").revision, "");
  EXPECT_EQ(at("hf://me/demo@v1").revision, "v1");
  EXPECT_EQ(at("hf://me/demo@refs/pr/22/a/b.bin").revision, "refs/pr/22");
  EXPECT_EQ(at("hf://me/demo@refs/pr/22/a/b.bin").path, "a/b.bin");
  EXPECT_EQ(at("hf://me/demo@refs%2Fpr%2F22/a.bin").revision, "refs/pr/22");
  EXPECT_EQ(at("hf://me/demo@feat%2Fx/a.bin").revision, "feat/x");
  EXPECT_EQ(at("hf://me/demo/unet/a@b.bin").path, "unet/a@b.bin");
  EXPECT_EQ(at("hf://datasets/me/demo/x.csv").repo.type(), RepoType::dataset);
  EXPECT_EQ(at("hf://gpt2@main/x.bin").repo.name(), "gpt2");
}

TEST(Address, ParsesUrlsOfPages) {
  const std::string page = std::string(kHub) + "/me/demo";
  EXPECT_EQ(at(page).repo.name(), "me/demo");
  EXPECT_EQ(at(page + "/").repo.name(), "me/demo");
  EXPECT_EQ(at(page + "/tree/refs%2Fpr%2F1").revision, "refs/pr/1");
  EXPECT_EQ(at(page + "/tree/refs/pr/1/unet").path, "unet");
  EXPECT_EQ(at(page + "/blob/main/a%20b.bin?download=true#L1").path, "a b.bin");
  EXPECT_EQ(at(page + "/resolve/v1/x/y.bin").path, "x/y.bin");
  EXPECT_EQ(at(page + "/discussions/12").discussion, 12u);
  EXPECT_EQ(at(page + "/discussions/12/files").discussion, 12u);
  EXPECT_EQ(at(page + "/commit/0123456789abcdef0123456789abcdef01234567").revision.size(), 40u);
  EXPECT_EQ(at(std::string(kHub) + "/datasets/me/demo").repo.type(), RepoType::dataset);
  EXPECT_THAT(refusal([] { at("https://elsewhere.example/me/demo"); }), HasSubstr("not on the Hub"));
  EXPECT_THAT(refusal([] { at(std::string(kHub) + "x/me/demo"); }), HasSubstr("not on the Hub"));
  EXPECT_THAT(refusal([&] { at(page + "/discussions/x"); }), HasSubstr("number is missing"));
  EXPECT_THAT(refusal([&] { at(page + "/settings/x"); }), HasSubstr("contains no revision"));
}

TEST(Address, ParsesRepositoryIds) {
  EXPECT_EQ(at("me/demo@refs/pr/3").revision, "refs/pr/3");
  EXPECT_EQ(at("me/demo").revision, "");
  EXPECT_FALSE(find_address("me/demo", kHub));
  EXPECT_FALSE(find_address("/tmp/x.bin", kHub));
}

TEST(Address, FormatsWhatItParses) {
  for (std::string_view text : {"hf://me/demo", "hf://me/demo@main/a/b.bin", "hf://me/demo@refs/pr/2/a.bin",
           "hf://me/demo@feat%2Fx/a.bin", "hf://datasets/me/demo@v1"}) {
    const Address address = at(text);
    EXPECT_EQ(hf_address(address.repo, address.revision, address.path), text);
  }
}

TEST(RepoPath, RefusesPathsOutsideTheFolder) {
  check_repo_path("a");
  check_repo_path("unet/diffusion_pytorch_model.fp16.bin");
  check_repo_path("a..b/..c");
  for (std::string_view bad : {std::string_view(""), std::string_view("/etc/passwd"), std::string_view("../x"),
           std::string_view("a/../x"), std::string_view("a/.."), std::string_view("."), std::string_view("a//b"),
           std::string_view("a/"), std::string_view("C:x"), std::string_view("a\\b"), std::string_view("a\nb"),
           std::string_view("a\0b", 3), std::string_view("\xff"), std::string_view(".git/config"),
           std::string_view("a/.cache/x"), std::string_view("\x7f")})
    EXPECT_EQ(error_of([&] { check_repo_path(bad); }).code(), Code::unsafe) << bad;
  EXPECT_EQ(error_of([] { check_repo_path(std::string(10'000, 'a')); }).code(), Code::unsafe);
  EXPECT_EQ(error_of([] { check_repo_path(std::string(256, 'a')); }).code(), Code::unsafe);
}

TEST(Revision, RefusesNamesOutsideTheFolderOfRefs) {
  for (std::string_view good : {"main", "refs/pr/1", "feat/x", "v1.0"}) check_revision(good);
  for (std::string_view bad : {"", "../x", "/main", "a//b", "a/", "a\nb", ".git", "a/.b", "a\\b"})
    EXPECT_EQ(error_of([&] { check_revision(bad); }).code(), Code::malformed) << bad;
  EXPECT_EQ(pull_request_number("refs/pr/22"), 22u);
  EXPECT_FALSE(pull_request_number("refs/pr/22x"));
  EXPECT_FALSE(pull_request_number("refs/pr/0"));
  EXPECT_EQ(escape_segment("refs/pr/22"), "refs%2Fpr%2F22");
  EXPECT_EQ(escape_path("a b/\xc3\xa9"), "a%20b/%C3%A9");
}

}  // namespace
}  // namespace depickle::hub
