// Places where code was or could be hidden from scanners. The verdict must never be tensors-only.
#include <gmock/gmock.h>

#include "depickle/formats/detect/file_kind.h"
#include "tests/scan/judged.h"

namespace depickle::scan {
namespace {

using namespace torch::made;
namespace made = torch::made;
using testing::HasSubstr;
using testing::StartsWith;
using torch::source_of;
using torch::made::named;
using torch::made::pickle;
using torch::made::text;
using torch::made::zip;

// A valid safetensors file that is also a pickle. Its length is also the first opcodes, whose last argument ends inside
// the tensor's name; there a UNICODE line begins, which ends before the header's last brace; the data are opcodes.
std::string polyglot(uint64_t header_bytes, std::string_view name, const std::string& opcodes) {
  std::string size = std::to_string(opcodes.size());
  std::string header =
      "{\"" + std::string(name) + R"(":{"dtype":"U8","shape":[)" + size + R"(],"data_offsets":[0,)" + size + "]}";
  header += std::string(header_bytes - header.size() - 2, ' ') + "\n}";
  return raw(header_bytes) + header + opcodes;
}
// BINUNICODE of ten bytes: three of the length, `{"weigh`.
std::string polyglot(const std::string& opcodes) { return polyglot(0x0a58, "weighV", opcodes); }

TEST(Hiding, ASafetensorsFileThatIsAlsoAPickle) {
  std::string file = polyglot(kSystem + ".");
  ASSERT_EQ(detect::file_kind(depickle::bytes(file)), detect::FileKind::safetensors);
  EXPECT_EQ(judged(file), kFound);
  EXPECT_EQ(judged(polyglot(0x470280, "wV", kSystem + ".")), kFound)
      << "PROTO 2, BINFLOAT of the rest of the length and `{\"w`";
  EXPECT_EQ(judged(polyglot(".")), "tensors-only") << "a harmless pickle";
}

TEST(Hiding, APolyglotWhoseFirstOpcodesStopTheAudit) {
  std::string filler;
  for (int i = 0; i < 1'000'000; ++i) filler += "N0";
  EXPECT_EQ(judged(polyglot(filler + kSystem + ".")), kFound) << "many opcodes";
  EXPECT_EQ(judged(polyglot("F" + std::string(5000, '0') + "\n0" + kSystem + ".")), kFound) << "a long line";
  EXPECT_THAT(judged(polyglot("](Ne"
                              "K\1K\2s" +
                              kSystem + ".")),
      testing::Not("tensors-only"))
      << "an item set in a list, which Python allows";
  EXPECT_THAT(judged(polyglot(call("builtins", "str", {text("os")}) + call("builtins", "str", {text("system")}) +
                              "\x93" + tuple({text("id")}) + "R.")),
      testing::Not("tensors-only"))
      << "computed names";
  EXPECT_THAT(
      judged(polyglot("\x8b" + raw(2000) + std::string(2000, '\1') + kSystem + ".")), testing::Not("tensors-only"))
      << "a large int";
}

TEST(Hiding, WeightsMayBeginAsAPickleByChance) {
  for (std::string begin : {std::string("\x80\2\x82\5"), std::string("\x80\4N)R"),
           std::string("\x80\2X\xff\xff\xff\x7f"), std::string("\x80\3c\x01\x02\n\xf0\n"), std::string("\x80\5)))")})
    EXPECT_EQ(judged(torch_zip(kGood, {{"0", (begin + std::string(16, '\xfe')).substr(0, 16)}})), "tensors-only");
}

TEST(Hiding, WrongZipDirectories) {
  std::string evil = torch_zip(kSystem, {});
  EXPECT_EQ(judged(evil), kFound);
  EXPECT_THAT(judged(patched(evil, local(evil) + 30, 'x')), StartsWith(kFound)) << "two names";
  EXPECT_THAT(judged(patched(evil, central(evil) + 8, uint16_t{1})), StartsWith(kFound)) << "flagged as encrypted";
  EXPECT_THAT(judged(evil.substr(0, central(evil))), StartsWith(kFound)) << "no directory";
  EXPECT_THAT(judged(patched(evil, central(evil) + 10, uint16_t{99})), StartsWith(kFound)) << "an unknown method";
  EXPECT_THAT(judged(patched(evil, central(evil) + 16, uint32_t{1})), StartsWith(kFound)) << "a wrong checksum";
  std::string deflated = zip({{.name = "a/data.pkl", .content = pickle(kSystem), .deflated = true}});
  EXPECT_THAT(judged(deflated.substr(0, central(deflated))), StartsWith(kFound)) << "deflated, without a directory";
}

TEST(Hiding, ArchivesAfterOtherContent) {
  std::string evil = torch_zip(kSystem, {}), good = torch_zip(kGood, kData);
  EXPECT_THAT(judged("some prefix" + evil), StartsWith(kFound));
  EXPECT_THAT(judged(good + evil), HasSubstr("os.system")) << "Python's zipfile reads the second";
  EXPECT_THAT(judged(evil + good), HasSubstr("os.system")) << "torch reads the first";
  EXPECT_THAT(judged(pickle("}") + evil), HasSubstr("os.system"));
  EXPECT_THAT(judged(legacy("}", {}) + evil), HasSubstr("os.system"));
  EXPECT_THAT(judged(zip({{.name = "archive/data.pkl", .content = pickle("}")},
                  {.name = "archive/inner.pt", .content = evil}})),
      HasSubstr("os.system"))
      << "an archive in an archive";
}

TEST(Hiding, RecordsUnderOtherNames) {
  auto with = [](std::string name, std::string content) {
    auto members = torch_members(kGood, kData);
    members.push_back({.name = std::move(name), .content = std::move(content), .described = true});
    return judged(zip(members));
  };
  EXPECT_EQ(with("archive/extra.dat", pickle(kSystem)), kFound);
  EXPECT_EQ(with("archive/data/1", pickle(kSystem)), kFound) << "named as a storage";
  EXPECT_EQ(with("archive/constants.pkl", kSystem + "."), "has-code: TorchScript code; os.system(\"id\")")
      << "of protocol 0";
  EXPECT_EQ(with("archive/other.PKL", kSystem + "."), kFound);
}

TEST(Hiding, DataPklInCapitals) {
  // torch reads DATA.PKL as data.pkl. With other.pkl, the archive also has a harmless pickle.
  EXPECT_EQ(judged(zip({{.name = "a/DATA.PKL", .content = named("a module", "f") + "."},
                {.name = "a/other.pkl", .content = pickle("}")}, {.name = "a/version", .content = "3\n"}})),
      "has-code: imports a module.f");
}

std::string loaded(const std::string& bytes) { return call("torch.storage", "_load_from_bytes", {bytes}); }

TEST(Hiding, PicklesInsideLoadFromBytes) {
  std::string evil = legacy(kSystem, {});
  EXPECT_EQ(judged(pickle(loaded(made::bytes(evil)))), kFound);
  EXPECT_EQ(judged(pickle(loaded(made::bytes(legacy(loaded(made::bytes(evil)), {}))))), kFound) << "twice";
  EXPECT_EQ(
      judged(pickle(loaded(call("_codecs", "encode", {text(pickle(kSystem, 0).substr(2)), text("latin1")})))), kFound);
  EXPECT_THAT(
      judged(pickle(loaded(call("_codecs", "encode", {text("(lp0\n."), text("rot13")})))), StartsWith("has-code"))
      << "another codec gives other bytes";
  EXPECT_THAT(judged(pickle(loaded(kNone))), StartsWith("has-code: torch.storage._load_from_bytes(None)"));
}

TEST(Hiding, AnArchiveInsideLoadFromBytes) {
  // Its first six bytes are a complete, harmless pickle: PERSID "K\3\4", STOP.
  std::string evil = torch_zip(kSystem, {});
  EXPECT_THAT(judged(pickle(loaded(made::bytes(patched(evil, 4, uint16_t{0x2e0a}))))), StartsWith("has-code"));
}

TEST(Hiding, LoadFromBytesCalledBySomethingElse) {
  std::string evil = made::bytes(legacy(kSystem, {}));
  std::string by_type = call("torch._tensor", "_rebuild_from_type_v2",
      {named("torch.storage", "_load_from_bytes"), named("torch", "Tensor"), tuple({evil}), kNone});
  EXPECT_EQ(judged(pickle(by_type)), "has-code: passes on torch.storage._load_from_bytes");
}

TEST(Hiding, StateOfAClassInAPersistentId) {
  std::string parameter = tuple({text("module"), named("torch.nn.parameter", "Parameter"), text(""), text("")}) + "Q";
  EXPECT_EQ(judged(pickle(parameter + dict({{"x", kNone}}) + "b")),
      "has-code: sets the state of torch.nn.parameter.Parameter");
}

TEST(Hiding, FramesThatLoadersReadDifferently) {
  std::string frame = "\x80\4\x95" + raw<uint64_t>(2) + "B" + raw<uint32_t>(4) + "abcd" + kSystem + ".";
  EXPECT_THAT(judged(frame), testing::Not(StartsWith("tensors-only")));
}

TEST(Hiding, ATarIsAPickleIfReadFromMemory) {
  std::string header(512, '\0');
  std::string name = "cos\nsystem\n(S'id'\ntR.";
  header.replace(0, name.size(), name);
  header.replace(124, 11, "00000000000");
  header.replace(257, 5, "ustar");
  header.replace(148, 8, "        ");
  unsigned sum = 0;
  for (char c : header) sum += static_cast<unsigned char>(c);
  char digits[8];
  std::snprintf(digits, sizeof digits, "%06o", sum);
  header.replace(148, 7, std::string(digits, 7));
  ASSERT_EQ(detect::file_kind(depickle::bytes(header)), detect::FileKind::tar);
  EXPECT_THAT(judged(header + std::string(1024, '\0')), testing::Not(StartsWith("tensors-only")));
}

}  // namespace
}  // namespace depickle::scan
