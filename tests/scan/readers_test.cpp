// Files that Python, torch or numpy read in another way than depickle. The verdict must never be tensors-only.
#include <gmock/gmock.h>

#include "tests/scan/judged.h"

namespace depickle::scan {
namespace {

using namespace std::literals;
using namespace torch::made;
namespace made = torch::made;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using torch::source_of;
using torch::made::named;
using torch::made::pickle;
using torch::made::text;
using torch::made::zip;

const std::string kMagicValue = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"s;
const std::string kDigits = "119547037146038801333356";

// A legacy file with these values as its first two pickles, whose fourth names a function in a long chain.
std::string legacy_with(const std::string& magic, const std::string& version) {
  std::string chain = "system";
  for (int i = 0; i < 40; ++i) chain = "path.os." + chain;
  return pickle(magic) + pickle(version) + pickle("}") + pickle(call("os", chain, {text("id")})) + pickle("]");
}

TEST(Readers, LegacyFilesWhoseNumbersAreSpelledInAnotherWay) {
  for (const std::string& magic : {kMagicValue, "\x8b\x0a\0\0\0"s + kMagicValue.substr(2),
           "\x8a\x0c"s + kMagicValue.substr(2) + "\0\0"s, "L" + kDigits + "L\n", "I" + kDigits + "\n",
           "L" + kDigits + "\0x\n"s, call("builtins", "int", {text(kDigits)}), "(" + text(kDigits) + "ibuiltins\nint\n",
           "(" + named("builtins", "int") + text(kDigits) + "o",
           named("builtins", "int") + tuple({text(kDigits)}) + "\x81"})
    EXPECT_THAT(judged(legacy_with(magic, "M\xe9\3")), HasSubstr("has-code: os.path.os.")) << magic;
  for (const std::string& version : {"F1001.0\n"s, "F1001\0\n"s, "G\x40\x8f\x48\0\0\0\0\0"s, "I0x3e9\n"s, "I1001\0.\n"s,
           "\x8a\x0a\xe9\3\0\0\0\0\0\0\0\0"s, call("builtins", "int", {text("1001")})})
    EXPECT_THAT(judged(legacy_with(kMagicValue, version)), HasSubstr("has-code: os.path.os.")) << version;
}

TEST(Readers, AStreamOfOtherPicklesIsNotALegacyFile) {
  EXPECT_EQ(judged(pickle("}") + "\x80\2\xff\xff"), "tensors-only");
  EXPECT_EQ(judged(pickle(call("collections", "OrderedDict", {})) + "\x80\2\xff\xff"), "tensors-only");
  EXPECT_EQ(judged(pickle(number(7)) + "\x80\2\xff\xff"), "tensors-only");
  EXPECT_THAT(judged(pickle(kMagicValue) + "\x80\2\xff\xff"), StartsWith("unreadable"));
}

TEST(Readers, ANulEndsTheNumberOfALine) {
  for (const std::string& number : {"F1\0x\n"s, "I7\0x\n"s, "L7\0x\n"s})
    EXPECT_EQ(judged(pickle(number + "0" + kSystem)), kFound) << number;
  EXPECT_EQ(judged(pickle("Np7\0x\n0g7\0y\n0"s + kSystem)), kFound) << "PUT and GET"sv;
  EXPECT_THAT(judged(pickle("F1\0x\n"s)), StartsWith("unreadable")) << "Python versions read it differently";
  EXPECT_EQ(judged(pickle("Np-0\n0" + kSystem)), kFound) << "an index of -0";
}

TEST(Readers, AWrongFrameDoesNotHideWhatFollows) {
  auto framed = [](uint64_t frame_bytes) { return "\x80\4\x95" + raw<uint64_t>(frame_bytes) + kSystem + "."; };
  for (uint64_t frame_bytes : {uint64_t{1}, uint64_t{5}, kSystem.size() + 2, uint64_t{1} << 40}) {
    Scan scan = scan_pickles(source_of(framed(frame_bytes)));
    EXPECT_EQ(scan.verdict, Verdict::has_code) << frame_bytes;
    EXPECT_TRUE(scan.error) << frame_bytes;
  }
  EXPECT_EQ(judged("\x80\4\x95" + raw<uint64_t>(20) + "\x95" + raw<uint64_t>(1) + kSystem + "."), kFound);
}

TEST(Readers, ATarWithoutMagicIsATarForTorch) {
  std::string block(512, '\0');
  block.replace(0, 4, "\x80\2N.").replace(124, 11, "00000000000").replace(148, 8, "        ");
  unsigned sum = 0;
  for (char c : block) sum += static_cast<unsigned char>(c);
  char digits[8];
  std::snprintf(digits, sizeof digits, "%06o", sum);
  EXPECT_THAT(judged(block.replace(148, 7, digits, 7) + std::string(1024, '\0')), StartsWith("unreadable"));
}

std::string npy(const std::string& dtype, const std::string& content) {
  const std::string header = "{'descr': " + dtype + ", 'fortran_order': False, 'shape': (1,), }\n";
  return "\x93NUMPY\1\0"s + raw<uint16_t>(static_cast<uint16_t>(header.size())) + header + content;
}

TEST(Readers, ObjectsInNumpyArrays) {
  for (const std::string dtype :
      {"'|O'", "'O'", "'object'", "'\\x4f'", "'ob' 'ject'", "[('a', '<f4'), ('b', '|O')]", "'i4,O'"})
    EXPECT_EQ(judged(npy(dtype, pickle(kSystem))), kFound) << dtype;
  EXPECT_EQ(judged(npy("'<f4'", "\x80\2\xff\xff")), "tensors-only");
  EXPECT_EQ(judged(npy("[('loss', '<f4'), ('step', '<i8')]", std::string(12, '\0'))), "tensors-only");
  EXPECT_THAT(judged("\x93NUMPY\1\0\xff"s), StartsWith("unreadable"));
}

TEST(Readers, ObjectsInNumpyArchives) {
  const std::string good = npy("'<f4'", std::string(4, '\0')), bad = npy("'|O'", pickle(kSystem));
  EXPECT_EQ(judged(zip({{.name = "a.npy", .content = good}})), "tensors-only");
  EXPECT_EQ(judged(zip({{.name = "a.npy", .content = good}, {.name = "b", .content = bad, .deflated = true}})), kFound);
  auto members = torch_members(dict({}), {});
  members.push_back({.name = "archive/x.npy", .content = bad, .described = true});
  EXPECT_EQ(judged(zip(members)), kFound) << "in a torch checkpoint";
  EXPECT_EQ(scan(source_of(zip({{.name = "a.npy", .content = good}}))).verdict, Verdict::tensors_only);
}

TEST(Readers, TorchScriptInCapitals) {
  for (const std::string folder : {"code", "CODE", "Code"}) {
    auto members = torch_members(dict({}), {});
    members.push_back(
        {.name = "archive/" + folder + "/collections.py", .content = "class deque(Module): ...", .described = true});
    EXPECT_EQ(judged(zip(members)), "has-code: TorchScript code") << folder;
  }
}

TEST(Readers, AnArchiveWithConstantsIsLoadedByTorchJit) {
  for (const std::string name : {"constants.pkl", "CONSTANTS.PKL"}) {
    auto members = torch_members(dict({}), {});
    members.push_back({.name = "archive/" + name, .content = pickle("I01\n"), .described = true});
    EXPECT_EQ(judged(zip(members)), "has-code: TorchScript code") << name;
  }
}

TEST(Readers, InflatingIsLimitedByTheSizeOfTheFile) {
  const std::string zeros(270 << 20, '\0');
  std::string file = zip({{.name = "a/data.pkl", .content = zeros, .deflated = true}});
  EXPECT_LT(file.size(), 1u << 20);
  Scan scan = scan_pickles(source_of(file));
  EXPECT_EQ(scan.verdict, Verdict::unreadable);
  ASSERT_TRUE(scan.error);
  EXPECT_EQ(scan.error->rule(), "TZ04");
  EXPECT_LT(scan.audited_bytes, 1u << 20);
}

Grade grade_of(const std::string& value) {
  Scan scan = scan_pickles(source_of(pickle(value)));
  EXPECT_EQ(scan.findings.size(), 1u) << value;
  return scan.findings.empty() ? Grade::executes : scan.findings[0].grade;
}

TEST(Grades, KnownClassesThatOnlyStoreDataAreInert) {
  for (auto [module, name] : {std::pair("argparse", "Namespace"), {"pathlib", "PosixPath"}, {"datetime", "timedelta"},
           {"_io", "BytesIO"}, {"transformers.trainer_utils", "IntervalStrategy"}})
    EXPECT_EQ(grade_of(call(module, name, {})), Grade::inert) << name;
  for (auto [module, name] : {std::pair("my.models", "Net"), {"torch.nn.modules.linear", "Linear"},
           {"__main__", "Config"}, {"argparse", "FileType"}})
    EXPECT_EQ(grade_of(call(module, name, {})), Grade::unknown) << name;
  for (auto [module, name] : {std::pair("os", "system"), {"builtins", "eval"}, {"_io", "open"},
           {"pathlib", "os.system"}, {"argparse", "Namespace.x"}})
    EXPECT_EQ(grade_of(call(module, name, {})), Grade::executes) << name;
  EXPECT_EQ(grade_of("\x82\5"), Grade::unknown);
}

TEST(Grades, TheClassesOfTorchScriptAreOneFinding) {
  std::string value;
  for (int i = 0; i < 41; ++i) value += call("__torch__.layer", "Linear" + std::to_string(i), {}) + "0";
  Scan scan = scan_pickles(source_of(pickle(value + "N")));
  ASSERT_EQ(scan.findings.size(), 1u);
  EXPECT_EQ(scan.findings[0].what, "__torch__.layer.Linear0 and other classes");
  EXPECT_EQ(scan.findings[0].count, 41u);
  EXPECT_EQ(scan.findings[0].grade, Grade::unknown);
}

TEST(Grades, ManyHarmlessFindingsDoNotHideAnother) {
  std::string value;
  for (int i = 0; i < 1500; ++i) value += named("argparse", "Namespace") + "(" + text("a") + "tR0";
  Scan scan = scan_pickles(source_of(pickle(value + kSystem)));
  EXPECT_EQ(scan.findings.back().what, "os.system(\"id\")");
  EXPECT_EQ(scan.findings.back().grade, Grade::executes);
}

}  // namespace
}  // namespace depickle::scan
