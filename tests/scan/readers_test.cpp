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

// A tar header of the v7 dialect, which has no magic, and the padded content.
std::string tar_member(const std::string& name, const std::string& content, char type = '0') {
  std::string block(512, '\0'), digits(16, '\0');
  std::snprintf(digits.data(), digits.size(), "%011o", static_cast<unsigned>(content.size()));
  block.replace(0, name.size(), name).replace(124, 11, digits, 0, 11).replace(148, 8, "        ");
  block[156] = type;
  unsigned sum = 0;
  for (char c : block) sum += static_cast<unsigned char>(c);
  std::snprintf(digits.data(), digits.size(), "%06o", sum);
  return block.replace(148, 7, digits, 0, 7) + content + std::string((512 - content.size() % 512) % 512, '\0');
}

const std::string kTarEnd(1024, '\0');

TEST(Readers, ATarWithoutMagicIsATarForTorch) {
  EXPECT_THAT(judged(tar_member("\x80\2N.", "") + kTarEnd), StartsWith("unreadable"));
}

// Python's tarfile takes the name of a member from the extra member before it; torch extracts "storages".
TEST(Readers, TarMembersWithLongNamesAreNotRead) {
  const std::string hostile = pickle(kSystem);
  const std::string record = "17 path=storages\n";
  for (const std::string& extra : {tar_member("x", record, 'x'), tar_member("././@LongLink", "storages\0"s, 'L')}) {
    const std::string file = extra + tar_member("harmless", hostile) + kTarEnd;
    const Scan scan = scan_pickles(source_of(file));
    EXPECT_EQ(scan.verdict, Verdict::unreadable);
    ASSERT_TRUE(scan.error);
    EXPECT_EQ(scan.error->rule(), "TA01") << "a checkpoint in another dialect";
    EXPECT_NE(scan.error->reason(), Reason::unknown_format) << "it belongs in the report of a folder";
  }
  const Scan other = scan_pickles(source_of(tar_member("data.csv", "1,2") + kTarEnd));
  ASSERT_TRUE(other.error);
  EXPECT_EQ(other.error->reason(), Reason::unknown_format) << "torch.load cannot open it";
}

TEST(Readers, ATarThatIsALegacyFileIfReadFromMemory) {
  const std::string name = pickle(kMagicValue) + pickle("M\xe9\3") + pickle("}") + pickle(kSystem);
  ASSERT_LT(name.size(), 100u);
  EXPECT_THAT(judged(tar_member(name, "") + kTarEnd), StartsWith(kFound));
}

TEST(Readers, TheLengthOfASafetensorsHeaderIsAlsoANumberOfALine) {
  for (const char opcode : {'F', 'I', 'L'}) {
    // The length: the opcode, "7", a NUL that ends the number, and the rest of the line in the header.
    const std::string length = {opcode, '7', '\0', '\0', '\0', '\0', '\0', '\0'};
    std::string header = "{\"__metadata__\":{\"a\":\"\n0" + kSystem + ".\"}}";
    const uint64_t wanted = static_cast<unsigned char>(opcode) + 256 * uint64_t{'7'};
    header.resize(wanted, ' ');
    EXPECT_THAT(judged(length + header), StartsWith(kFound)) << opcode;
  }
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
  EXPECT_THAT(scan.error->hint(), Not(testing::AnyOf(HasSubstr("trust"), HasSubstr("not load")))) << "a limit only";
  EXPECT_LT(scan.audited_bytes, 1u << 20);
}

TEST(Readers, AnArchiveInsideThreeOthersIsNotCalledClean) {
  std::string file = torch_zip(kSystem, {});
  EXPECT_EQ(judged(file), kFound);
  for (int depth = 1; depth <= 4; ++depth) {
    file = zip({{.name = "archive/data.pkl", .content = pickle("}")}, {.name = "archive/inner", .content = file}});
    EXPECT_THAT(judged(file), StartsWith(depth < 3 ? kFound : "unreadable")) << depth;
  }
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

TEST(Grades, FunctionsOfTorchScriptThatReturnTheirArgumentAreInert) {
  EXPECT_EQ(grade_of(call("torch.jit._pickle", "restore_type_tag", {})), Grade::inert);
  EXPECT_EQ(grade_of(call("torch.jit", "load", {})), Grade::executes);
}

TEST(Grades, AnInertFindingIsStillAFinding) {
  EXPECT_EQ(scan_pickles(source_of(pickle(call("argparse", "Namespace", {})))).verdict, Verdict::has_code);
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
