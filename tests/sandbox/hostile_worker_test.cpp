// A worker that was taken over: whatever it sends, the parent is unharmed and reports the reason.
#include <unistd.h>

#include <filesystem>

#include <gmock/gmock.h>

#include "depickle/base/text.h"
#include "depickle/convert/convert.h"
#include "depickle/sandbox/limits.h"
#include "tests/error_of.h"
#include "tests/sandbox/forge.h"
#include "tests/sandbox/misbehaving.h"
#include "tests/temporary_folder.h"

namespace depickle::sandbox {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Returns the error of converting a file with this content, beside a file that the worker must not see.
Error hostile_error(const std::string& content, const SandboxOptions& options = misbehaving()) {
  Folder folder;
  folder.write("private.bin", "private");
  const auto source = folder.write("model.bin", "MISBEHAVE:" + content);
  Sandbox sandbox(options);
  Error error = error_of([&] { convert::convert_file(source, folder / "model.safetensors", {.engine = &sandbox}); });
  EXPECT_EQ(folder.entries(), 2) << "the target was removed";
  const std::string text = error.what() + error.hint();
  EXPECT_EQ(text, printable(text, SIZE_MAX)) << "an error is safe to print";
  EXPECT_THAT(text, Not(HasSubstr("crashed"))) << "the sandbox did not stop the attempt";
  return error;
}

// A file that the worker reads through its parent.
class RemoteBytes final : public ByteSource {
 public:
  explicit RemoteBytes(std::string content) : ByteSource("hf://org/name/model.bin"), content_(std::move(content)) {}
  uint64_t size_bytes() const noexcept override { return content_.size(); }
  bool is_remote() const noexcept override { return true; }

 private:
  Bytes do_view(uint64_t offset, uint64_t length) const override { return bytes(content_).subspan(offset, length); }
  std::string content_;
};

TEST(HostileWorker, ForgedRequestsAreRefused) {
  const std::vector<forge::Requests> all = forge::requests();
  for (size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(all[i].description);
    const Error error = hostile_error("forge " + std::to_string(i));
    if (all[i].is_absurd) {
      EXPECT_THAT(error.code(), testing::AnyOf(Code::unsafe, Code::malformed, Code::limit, Code::unsupported));
    }
  }
}

TEST(HostileWorker, ForgedRequestsForRemoteFilesAreRefused) {
  const std::vector<forge::Requests> all = forge::requests();
  for (size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(all[i].description);
    const auto file = std::make_shared<RemoteBytes>("MISBEHAVE:forge " + std::to_string(i));
    Sandbox sandbox(misbehaving());
    EXPECT_THAT(refusal([&] { sandbox.summarize({file}, {}); }), Not(HasSubstr("crashed")));
  }
}

TEST(HostileWorker, AFileOutsideOfTheListIsAForbiddenRequest) {
  // The second file of a list of one.
  for (size_t i = 0; i < forge::requests().size(); ++i) {
    if (forge::requests()[i].description != "request 0 with argument 0 = 1") continue;
    const Error error = hostile_error("forge " + std::to_string(i));
    EXPECT_EQ(error.code(), Code::unsafe);
    EXPECT_THAT(error.what(), HasSubstr("requested a file that its task does not include"));
    return;
  }
  FAIL() << "the request was not generated";
}

TEST(HostileWorker, CannotSeeAnyFileByItsName) {
  EXPECT_EQ(hostile_error("stat").code(), Code::unsupported);
  EXPECT_EQ(hostile_error("type").code(), Code::unsupported);
}

TEST(HostileWorker, DoesNotReachTheTerminal) {
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  Folder folder;
  const auto source = folder.write("model.bin", "MISBEHAVE:terminal");
  Sandbox sandbox(misbehaving());
  const Error error = error_of([&] { sandbox.scan_file(weights::find_model(source).entry); });
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_THAT(error.what(), HasSubstr("\\x1b[2J")) << "the output of a crash is shown escaped";
  EXPECT_EQ(std::string(error.what()), printable(error.what(), SIZE_MAX));
  EXPECT_LT(std::string_view(error.what()).size(), 40'000u);
}

TEST(HostileWorker, TextsOfAnErrorAreEscaped) { EXPECT_THAT(hostile_error("error").what(), HasSubstr("\\x1b[2J")); }

TEST(HostileWorker, AResultThatIsTooLargeIsReportedAsSuch) {
  const Error error = hostile_error("large");
  EXPECT_EQ(error.code(), Code::limit);
  EXPECT_THAT(error.what(), HasSubstr("the result of reading the file is larger than allowed (limit 268.4 MB)"));
}

TEST(HostileWorker, HalfAMessageDoesNotBlockTheParent) {
  SandboxOptions options = misbehaving();
  options.max_seconds = 0.5;
  EXPECT_THAT(hostile_error("half", options).what(), HasSubstr("took longer than allowed"));
}

TEST(HostileWorker, CannotFillTheParentsTableOfDescriptors) {
  const auto open_files = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  const auto before = open_files();
  SandboxOptions options = misbehaving();
  decltype(open_files()) most = 0;
  options.check_cancelled = [&] { most = std::max(most, open_files()); };
  EXPECT_EQ(hostile_error("descriptors", options).code(), Code::unsupported);
  EXPECT_LT(most, before + 20);
}

TEST(HostileWorker, ForgedProgressIsRefusedOrHarmless) {
  EXPECT_THAT(hostile_error("phase").what(), HasSubstr("sent an invalid progress report"));
  EXPECT_EQ(hostile_error("progress").code(), Code::unsupported);
}

TEST(HostileWorker, ForgedResultsAreRefused) {
  EXPECT_THAT(hostile_error("long").what(), HasSubstr("sent an invalid message"));
  EXPECT_THAT(hostile_error("foreign").what(), HasSubstr("reported a file that it has not opened"));
  EXPECT_THAT(hostile_error("short").what(), HasSubstr("the target has 99 bytes, but 100 were planned"));
}

TEST(HostileWorker, CannotFillTheDisk) {
  SandboxOptions options = misbehaving();
  options.limits.file_bytes = 4'000'000;
  const Error error = hostile_error("grow", options);
  EXPECT_EQ(error.code(), Code::limit);
  EXPECT_THAT(error.what(), HasSubstr("the result is larger than allowed (limit 4.0 MB for a file)"));
}

TEST(HostileWorker, CannotIgnoreTheLimitOfProcessorTime) {
  SandboxOptions options = misbehaving();
  options.limits.cpu_seconds = 1;
  EXPECT_THAT(hostile_error("ignore", options).what(), HasSubstr("more processor time than allowed"));
}

TEST(HostileWorker, HasLimitsThatItsParentDidNotChoose) {
  EXPECT_EQ(hostile_error("limits").code(), Code::unsupported);
}

TEST(Limits, FollowTheSizeOfTheInput) {
  const ResourceLimits small = limits_for({}, 1000), large = limits_for({}, 10'000'000'000);
  EXPECT_EQ(small.cpu_seconds, 300u);
  EXPECT_EQ(large.cpu_seconds, 10'300u);
  EXPECT_EQ(small.file_bytes, 16'000'032'000u);
  EXPECT_GT(limits_for({}, UINT64_MAX).file_bytes, large.file_bytes);
  const ResourceLimits chosen = limits_for({.file_bytes = 5, .cpu_seconds = 7}, 1000);
  EXPECT_EQ(chosen.file_bytes, 5u);
  EXPECT_EQ(chosen.cpu_seconds, 7u);
}

}  // namespace
}  // namespace depickle::sandbox
