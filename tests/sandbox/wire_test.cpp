#include "depickle/sandbox/wire.h"

#include <gmock/gmock.h>

#include "depickle/sandbox/messages.h"
#include "tests/error_of.h"
#include "tests/sandbox/forge.h"

namespace depickle::sandbox {
namespace {

std::string encoded(const auto& value) {
  WireWriter wire;
  wire(value);
  return wire.take();
}

convert::FileReport report() {
  return {.container = "torch zip",
      .root = "state_dict",
      .tensors = 2,
      .identical = 2,
      .tensor_bytes = 24,
      .file_bytes = 136,
      .tied = {{"a", "b"}},
      .unused = {{"epoch", "int 3", 0}},
      .unsupported = {{"q", "complex128"}},
      .notes = {"12 bytes after the archive", ""},
      .contents = {{"b", Dtype::BF16, {2, 3}, 12, "ab"}, {"scalar", Dtype::F64, {}, 8, ""}},
      .digested_sources = {{"model.bin", 548, "cd"}},
      .target_sha256 = "ef"};
}

scan::Scan scan() {
  scan::Scan scan;
  scan.verdict = scan::Verdict::has_code;
  scan.findings = {{"data.pkl", 7, "os.system", "os.system(\"x\")", "runs a command", 2, scan::Grade::executes}};
  scan.globals = {{"data.pkl", "os.system", false, "runs a command", 2, 7}};
  scan.error = Error(Code::truncated, "PK01", "ends too early", {"model.bin", "w", 9}, "download it again");
  return scan;
}

TEST(Wire, DecodesWhatWasEncoded) {
  const std::string bytes = encoded(std::optional(report()));
  const auto read = WireReader(bytes).value<std::optional<convert::FileReport>>();
  ASSERT_TRUE(read);
  EXPECT_EQ(encoded(read), bytes);
  EXPECT_EQ(read->contents[0].dtype, Dtype::BF16);
  EXPECT_EQ(read->contents[0].shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(read->notes.size(), 2);
}

TEST(Wire, AnErrorKeepsAllMembers) {
  const std::string bytes = encoded(scan());
  const auto read = WireReader(bytes).value<scan::Scan>();
  EXPECT_EQ(encoded(read), bytes);
  ASSERT_TRUE(read.error);
  EXPECT_EQ(read.error->code(), Code::truncated);
  EXPECT_STREQ(read.error->what(), scan().error->what());
  EXPECT_EQ(read.error->hint(), "download it again");
}

template <typename Value>
void expect_prefixes_are_refused(const Value& value) {
  const std::string whole = encoded(value);
  for (size_t length = 0; length < whole.size(); ++length) {
    const std::string_view cut = std::string_view(whole).substr(0, length);
    EXPECT_EQ(error_of([&] { WireReader(cut).value<Value>(); }).code(), Code::malformed) << length;
  }
}

TEST(Wire, ATruncatedMessageIsAnError) {
  expect_prefixes_are_refused(report());
  expect_prefixes_are_refused(scan());
}

TEST(Wire, EveryFlippedBitIsDecodedOrRefused) {
  const std::string whole = encoded(scan());
  for (size_t at = 0; at < whole.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      try {
        // Every decoded enum has a valid value.
        const auto read = WireReader(changed).value<scan::Scan>();
        EXPECT_FALSE(name(read.verdict).empty());
        if (read.error) {
          EXPECT_FALSE(name(read.error->code()).empty());
        }
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::malformed);
      }
    }
}

template <Task task>
void expect_safe_texts() {
  ResultOf<task> forged{};
  forge::Forger forger;
  forger(forged);
  const std::string bytes = encoded(forged);
  auto decoded = WireReader(bytes).last<ResultOf<task>>();
  forge::TextCollector collector;
  collector(decoded);
  EXPECT_FALSE(collector.texts.empty());
  for (const std::string& text : collector.texts) EXPECT_EQ(text, printable(text, SIZE_MAX));
  // A number anywhere may be an absurd count.
  for (size_t at = 0; at + 8 <= bytes.size(); ++at) {
    std::string changed = bytes;
    changed.replace(at, 8, 8, '\xff');
    const Error error = error_of([&] { WireReader(changed).last<ResultOf<task>>(); });
    if (error.rule() != "accepted") {
      EXPECT_EQ(error.code(), Code::malformed) << at;
    }
  }
}

TEST(Wire, TextsOfForgedResultsAreSafeToPrint) {
  [&]<size_t... task>(std::index_sequence<task...>) { (expect_safe_texts<static_cast<Task>(task)>(), ...); }(
      std::make_index_sequence<kEnumSize<Task>>{});
}

TEST(Wire, AnEscapedTextIsDecodedUnchanged) {
  const std::string text = printable(forge::kHostileText);
  const std::string bytes = encoded(text);
  EXPECT_EQ(WireReader(bytes).last<std::string>(), text);
}

TEST(Wire, ATrailingByteIsAnError) {
  const std::string bytes = encoded(report()) + '\0';
  EXPECT_EQ(error_of([&] { WireReader(bytes).last<convert::FileReport>(); }).code(), Code::malformed);
}

TEST(Wire, ATooLargeCountAllocatesNoMemory) {
  WireWriter wire;
  wire(uint64_t{1} << 60);
  const std::string bytes = wire.take();
  EXPECT_EQ(error_of([&] { WireReader(bytes).value<std::vector<std::string>>(); }).code(), Code::malformed);
  EXPECT_EQ(error_of([&] { WireReader(bytes).value<std::string>(); }).code(), Code::malformed);
}

}  // namespace
}  // namespace depickle::sandbox
