#include "depickle/sandbox/sandbox.h"

#include <atomic>

#include <gmock/gmock.h>

#include "depickle/convert/convert.h"
#include "depickle/os/atomic_file.h"
#include "tests/convert/torch_file.h"
#include "tests/error_of.h"
#include "tests/sandbox/misbehaving.h"
#include "tests/temporary_folder.h"

namespace depickle::sandbox {
namespace {

using ::testing::HasSubstr;

// Returns the error of converting a file with this content in a sandbox.
Error conversion_error(const std::string& content, SandboxOptions sandbox_options = misbehaving()) {
  Folder folder;
  const auto source = folder.write("model.bin", content);
  Sandbox sandbox(std::move(sandbox_options));
  Error error = error_of([&] { convert::convert_file(source, folder / "model.safetensors", {.engine = &sandbox}); });
  EXPECT_EQ(folder.entries(), 1) << "the target was removed";
  return error;
}

std::string gpt() {
  return convert::TorchFile()
      .tensor("lm_head.weight", {1, 2, 3, 4})
      .view("wte.weight", 0, {4}, {1})
      .tensor("bias", {5})
      .number("epoch", 3)
      .zip();
}

TEST(Sandbox, ConvertsToTheSameBytesReportAndReceiptAsTheLocalEngine) {
  Folder folder;
  const auto source = folder.write("model.bin", gpt());
  Sandbox sandbox(misbehaving());
  auto converted = [&](const char* name, convert::Engine* engine) {
    convert::Options options{.receipt = folder / name / "receipt.json", .engine = engine};
    std::filesystem::create_directory(folder / name);
    return convert::convert_file(source, folder / name / "model.safetensors", options).files.at(0);
  };
  const convert::FileReport there = converted("there", &sandbox), here = converted("here", nullptr);
  EXPECT_EQ(content_of(folder / "there/model.safetensors"), content_of(folder / "here/model.safetensors"));
  EXPECT_EQ(content_of(folder / "there/receipt.json"), content_of(folder / "here/receipt.json"));
  EXPECT_EQ(there.tensors, 3);
  EXPECT_EQ(there.identical, 3);
  EXPECT_EQ(there.container, "torch zip");
  EXPECT_EQ(there.tied.at(0).kept, "wte.weight");
  EXPECT_EQ(there.unused.at(0).path, "epoch");
  EXPECT_EQ(there.contents.at(0).name, here.contents.at(0).name);
  EXPECT_EQ(there.contents.at(0).sha256, here.contents.at(0).sha256);
  EXPECT_EQ(there.target_sha256, here.target_sha256);
  EXPECT_EQ(sandbox.failures(), 0);
}

TEST(Sandbox, ReportsTheSameErrorsAsTheLocalEngine) {
  Folder folder;
  const auto source = folder.write("model.bin", gpt().substr(0, 700));
  Sandbox sandbox(misbehaving());
  auto refused = [&](convert::Engine* engine) {
    return refusal([&] { convert::convert_file(source, folder / "out.safetensors", {.engine = engine}); });
  };
  EXPECT_EQ(refused(&sandbox), refused(nullptr));
  EXPECT_THAT(refused(&sandbox), HasSubstr("model.bin"));
}

TEST(Sandbox, SummarizesScansAndComparesLikeTheLocalEngine) {
  Folder folder;
  const weights::Model model = weights::find_model(folder.write("model.bin", gpt()));
  Sandbox sandbox(misbehaving());
  const convert::TableSummary summary = sandbox.summarize(model, {});
  ASSERT_EQ(summary.tensors.size(), 3);
  EXPECT_EQ(summary.tensors[2].name, "bias");
  EXPECT_EQ(summary.tensors[2].shape, std::vector<uint64_t>{1});
  EXPECT_EQ(sandbox.scan_file(model.entry).verdict, scan::Verdict::tensors_only);
  EXPECT_EQ(sandbox.compare_models(model, model, {}).identical, 3);
  const weights::Model other =
      weights::find_model(folder.write("b.bin", convert::TorchFile().tensor("bias", {6}).zip()));
  const convert::Comparison comparison = sandbox.compare_models(model, other, {});
  EXPECT_EQ(comparison.identical, 0);
  EXPECT_EQ(comparison.differences.size(), 3);
}

// A remote file: the sandboxed process reads its bytes through the channels.
class RemoteFile final : public ByteSource {
 public:
  explicit RemoteFile(std::string content) : ByteSource("hf://org/name/model.bin"), content_(std::move(content)) {}
  uint64_t size_bytes() const noexcept override { return content_.size(); }
  bool is_remote() const noexcept override { return true; }
  mutable std::atomic<uint64_t> reads = 0;

 private:
  Bytes do_view(uint64_t offset, uint64_t length) const override {
    ++reads;
    if (length > 100'000) throw Error(Code::network, "", "the connection was lost");
    return bytes(content_).subspan(offset, length);
  }
  std::string content_;
};

TEST(Sandbox, ReadsARemoteFileThroughTheParent) {
  const auto file = std::make_shared<RemoteFile>(gpt());
  Sandbox sandbox(misbehaving());
  EXPECT_EQ(sandbox.summarize({file}, {}).tensors.size(), 3);
  EXPECT_GT(file->reads, 0);
}

TEST(Sandbox, PassesOnErrorsOfReadingARemoteFile) {
  const auto file = std::make_shared<RemoteFile>(convert::TorchFile().tensor("w", std::vector<float>(100'000)).zip());
  Sandbox sandbox(misbehaving());
  const Error error = error_of([&] { sandbox.compare_models({file}, {file}, {}); });
  EXPECT_EQ(error.code(), Code::network) << error.what();
}

TEST(Sandbox, ChecksAModelLikeTheLocalEngine) {
  const std::string pickle = gpt();
  const repo::ModelPair pair{
      .safetensors = {"model.safetensors", {"model.safetensors"}}, .pickle = {"model.bin", {"model.bin"}}};
  const repo::OpenFile before = [&](const std::string&) { return std::make_shared<RemoteFile>(pickle); };
  const repo::OpenFile after = [&](const std::string&) {
    return std::make_shared<RemoteFile>("not safetensors at all");
  };
  Sandbox sandbox(misbehaving());
  repo::Check there, here;
  sandbox.check_model(there, pair, nullptr, before, after, {});
  repo::check_model(here, pair, nullptr, before, after, {});
  ASSERT_EQ(there.tensors.size(), 1);
  EXPECT_EQ(there.tensors[0].kind, repo::TensorFinding::Kind::unreadable);
  EXPECT_EQ(there.tensors[0].what, here.tensors.at(0).what);
}

TEST(Sandbox, ReportsProgressAndCanBeCancelled) {
  Folder folder;
  const auto source = folder.write("model.bin", gpt());
  Sandbox sandbox(misbehaving());
  std::vector<std::string> phases;
  const Progress listen = [&](const Step& step) { phases.emplace_back(step.phase); };
  convert::convert_file(source, folder / "a.safetensors", {.engine = &sandbox}, listen);
  EXPECT_THAT(phases, ::testing::Contains("write"));
  EXPECT_THAT(phases, ::testing::Contains("compare"));
  const Progress stop = [](const Step&) { throw Error(Code::cancelled, "", "enough"); };
  EXPECT_EQ(
      error_of([&] { convert::convert_file(source, folder / "b.safetensors", {.engine = &sandbox}, stop); }).code(),
      Code::cancelled);
  EXPECT_EQ(folder.entries(), 2) << "the source and the first target";
}

TEST(Sandbox, AForbiddenSystemCallKillsTheWorker) {
  for (const char* trick : {"socket", "exec", "fork", "kill", "code", "unlink"}) {
    const Error error = conversion_error(std::string("MISBEHAVE:") + trick);
    EXPECT_EQ(error.code(), Code::unsafe) << trick << ": " << error.what();
    EXPECT_THAT(error.what(), HasSubstr("model.bin")) << trick;
  }
}

TEST(Sandbox, AWorkerCannotOpenFiles) {
  // The worker continues with its file, which is not a model.
  EXPECT_EQ(conversion_error("MISBEHAVE:open").code(), Code::unsupported);
}

TEST(Sandbox, ACrashOfTheWorkerIsAnError) {
  const Error error = conversion_error("MISBEHAVE:crash");
  EXPECT_EQ(error.code(), Code::malformed);
  EXPECT_THAT(error.what(), HasSubstr("crashed"));
  EXPECT_THAT(error.hint(), HasSubstr("report"));
}

#ifndef __SANITIZE_ADDRESS__  // its shadow memory exceeds any limit
TEST(Sandbox, TheMemoryOfAWorkerIsLimited) {
  SandboxOptions limited = misbehaving();
  limited.limits.memory_bytes = 256 << 20;
  const Error error = conversion_error("MISBEHAVE:memory", limited);
  EXPECT_EQ(error.code(), Code::limit);
  EXPECT_THAT(error.what(), HasSubstr("memory"));
}
#endif

TEST(Sandbox, TheTimeOfAWorkerIsLimited) {
  SandboxOptions limited = misbehaving();
  limited.max_seconds = 0.5;
  EXPECT_THAT(conversion_error("MISBEHAVE:loop", limited).what(), HasSubstr("took longer than allowed"));
  limited = misbehaving();
  limited.limits.cpu_seconds = 1;
  const Error error = conversion_error("MISBEHAVE:loop", limited);
  EXPECT_EQ(error.code(), Code::limit);
  EXPECT_THAT(error.what(), HasSubstr("processor time"));
}

TEST(Sandbox, TheFileSizeOfAWorkerIsLimited) {
  SandboxOptions limited = misbehaving();
  limited.limits.file_bytes = 100;
  EXPECT_EQ(conversion_error(gpt(), limited).code(), Code::limit);
}

TEST(Sandbox, AWorkerThatClosesItsChannelOrSendsAnInvalidMessageIsKilled) {
  EXPECT_THAT(conversion_error("MISBEHAVE:hang-up").what(), HasSubstr("closed its channel without a result"));
  const Error error = conversion_error("MISBEHAVE:lie");
  EXPECT_EQ(error.code(), Code::malformed);
  EXPECT_THAT(error.what(), HasSubstr("sent an invalid message"));
}

TEST(Sandbox, AWorkerThatSendsNothingCanBeCancelled) {
  SandboxOptions limited = misbehaving();
  int ticks = 0;
  limited.check_cancelled = [&] {
    if (++ticks == 3) throw Error(Code::cancelled, "", "enough");
  };
  EXPECT_EQ(conversion_error("MISBEHAVE:loop", limited).code(), Code::cancelled);
}

TEST(Sandbox, AMissingProgramIsAnError) {
  SandboxOptions limited = misbehaving();
  limited.program[0] = "/no/such/program";
  EXPECT_THAT(conversion_error(gpt(), limited).what(), HasSubstr("could not be started"));
}

}  // namespace
}  // namespace depickle::sandbox
