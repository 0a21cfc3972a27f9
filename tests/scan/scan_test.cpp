// Verdicts on pickles in each container.
#include "depickle/scan/scan.h"

#include <gmock/gmock.h>

#include "tests/scan/judged.h"

namespace depickle::scan {
namespace {

using namespace torch::made;
using testing::StartsWith;
using torch::source_of;
using torch::made::named;
using torch::made::pickle;
using torch::made::text;
using torch::made::zip;

TEST(Scan, TensorsAndPlainContainersAreTensorsOnly) {
  EXPECT_EQ(judged(torch_zip(kGood, kData)), "tensors-only");
  EXPECT_EQ(judged(legacy(dict({{"w", tensor(storage("FloatStorage", "9", 4, kNone), {4}, {1})}}),
                {{"9", 4, floats({1, 2, 3, 4})}})),
      "tensors-only");
  EXPECT_EQ(judged(pickle(dict({{"n", number(1)}}))), "tensors-only");
  Scan scan = scan_pickles(source_of(torch_zip(kGood, kData)));
  EXPECT_EQ(scan.pickles, 1u);
  EXPECT_EQ(scan.globals.size(), 3u);
  for (const NamedGlobal& global : scan.globals) EXPECT_TRUE(global.inert) << global.name;
}

TEST(Scan, AFindingHasAPlaceAndADescription) {
  Scan scan = scan_pickles(source_of(torch_zip(dict({{"w", vector("0", 4)}, {"x", kSystem}}), kData)));
  ASSERT_EQ(scan.findings.size(), 1u);
  const Finding& finding = scan.findings[0];
  EXPECT_EQ(finding.record, "archive/data.pkl");
  EXPECT_EQ(finding.what, "os.system(\"id\")");
  EXPECT_EQ(finding.effect, "runs commands and changes files");
  EXPECT_EQ(finding.offset_bytes,
      pickle(dict({{"w", vector("0", 4)}, {"x", kSystem}})).find("tR", pickle(dict({{"w", vector("0", 4)}})).size()) +
          1);
}

TEST(Scan, EachWayToCallIsFound) {
  for (const std::string& value :
      {kSystem, "(" + named("os", "system") + text("id") + "o", "(" + text("id") + "ios\nsystem\n",
          named("os", "system") + tuple({text("id")}) + "\x81", named("os", "system") + tuple({text("id")}) + "}\x92",
          kSystem + "0N", text("os") + text("system") + "\x93" + tuple({text("id")}) + "R"})
    EXPECT_EQ(judged(pickle(value)), kFound);
  EXPECT_EQ(judged(pickle(named("os", "system"))), "has-code: imports os.system");
  EXPECT_EQ(judged(pickle("\x82\5")), "has-code: extension code 5");
  EXPECT_EQ(judged(pickle(named("collections", "OrderedDict") + "}b")),
      "has-code: sets the state of collections.OrderedDict");
  EXPECT_EQ(
      judged(pickle(call("collections", "OrderedDict", {}) + ")R")), "has-code: calls collections.OrderedDict()()");
  EXPECT_EQ(judged(pickle(tuple({text("module"), named("my", "Net"), text("net.py"), text("source")}) + "Q)\x81")),
      "has-code: my.Net()");
}

TEST(Scan, ManyInstancesOfOneClassAreOneFinding) {
  Scan scan = scan_pickles(
      source_of(pickle(list({instance("my", "Layer", {}), instance("my", "Layer", {}), instance("my", "Layer", {})}))));
  ASSERT_EQ(scan.findings.size(), 1u);
  EXPECT_EQ(scan.findings[0].count, 3u);
}

TEST(Scan, HostileArgumentsAreEscaped) {
  EXPECT_EQ(judged(pickle(call("os", "system", {text("\x1b[2J\n\"")}))), "has-code: os.system(\"\\x1b[2J\\n\\\"\")");
}

TEST(Scan, CodeBeforeAnErrorIsFound) {
  EXPECT_EQ(judged(pickle(kSystem + "\xff")), kFound);
  EXPECT_EQ(judged(pickle(kSystem).substr(0, 30)), kFound);
  EXPECT_EQ(judged(pickle(named("os", "system") + list({text("id")}) + "R")), kFound)
      << "although its arguments are not a tuple";
  EXPECT_EQ(judged(pickle("}\xff")), "unreadable");
}

TEST(Scan, EveryPickleOfAStreamIsAudited) {
  EXPECT_EQ(judged(pickle("}") + pickle("]") + pickle(kSystem)), kFound);
  EXPECT_EQ(judged(pickle("}") + "(dp0\n." + "cos\nsystem\n."), "has-code: imports os.system");
  for (std::string first : {std::string("G") + std::string(8, '\0') + "0",
           std::string("\x88"
                       "0"),
           std::string("\x8c\1x0")})
    EXPECT_EQ(judged(pickle("}") + first + kSystem + "."), kFound) << "for every first opcode";
}

TEST(Scan, EveryPickleOfALegacyFileIsAudited) {
  std::string good = dict({});
  EXPECT_EQ(judged(legacy(kSystem, {})), kFound);
  EXPECT_EQ(judged(kMagic + pickle(number(1001)) + pickle(kSystem) + pickle(good) + pickle("]")), kFound)
      << "the third";
  EXPECT_EQ(judged(legacy(good, {}, list({kSystem}))), "has-code: os.system(\"id\")") << "the list of keys";
  EXPECT_EQ(judged(legacy(named("my-module", "a name"), {})), "has-code: imports my-module.a name")
      << "also with an unusual name";
  EXPECT_EQ(judged(kMagic + pickle(number(1001)) + "junk"), "unreadable");
}

TEST(Scan, OtherFilesAreUnreadable) {
  EXPECT_EQ(judged(""), "unreadable");
  EXPECT_EQ(judged("<html>"), "unreadable");
  EXPECT_EQ(judged(zip({{.name = "m/readme", .content = "x"}})), "unreadable");
  EXPECT_EQ(judged(pickle("}").substr(0, 3)), "unreadable");
}

TEST(Scan, TorchScriptIsCode) {
  auto members = torch_members(kGood, kData);
  members.push_back({.name = "archive/code/__torch__.py", .content = "pass", .described = true});
  EXPECT_EQ(judged(zip(members)), "has-code: TorchScript code");
}

TEST(Scan, SafetensorsContainNoPickle) {
  std::string header = R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  EXPECT_EQ(judged(raw<uint64_t>(header.size()) + header + "abcd"), "tensors-only");
}

TEST(Scan, NeverThrowsBecauseOfTheContent) {
  std::string whole = torch_zip(dict({{"w", vector("0", 4)}, {"x", kSystem}}), kData);
  for (size_t length = 0; length < whole.size(); length += 7)
    EXPECT_THAT(judged(whole.substr(0, length)), testing::Not(StartsWith("tensors-only"))) << length;
}

}  // namespace
}  // namespace depickle::scan
