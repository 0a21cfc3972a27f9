// The class statements of TorchScript archives, also hostile ones.
#include <chrono>

#include <gmock/gmock.h>

#include "depickle/formats/torch/script_classes.h"
#include "tests/formats/torch/tables.h"

namespace depickle::torch {
namespace {

using namespace made;
using testing::HasSubstr;

// "p weight 0; b mean 1; m inner 2" by name; "unknown" if the class could not be read.
std::string read(const std::string& code, std::string_view name = "A") {
  Arena arena;
  const std::string_view names[] = {name};
  auto classes = read_script_classes(code, names, arena);
  if (classes.empty()) return "unknown";
  const ScriptClass& found = classes.begin()->second;
  std::string out = found.is_module ? "" : "not a module";
  if (found.has_set_state) out += "setstate";
  for (const ScriptAttribute& each : found.attributes)
    out += (out.empty() ? "" : "; ") + std::string(1, "pbm"[static_cast<int>(each.role)]) + " " +
           std::string(each.name) + " " + std::to_string(each.position);
  return out;
}

const std::string kHead = "class A(Module):\n";
const std::string kLists = kHead + "  __parameters__ = [\"w\", ]\n  __buffers__ = [\"b\", ]\n";

TEST(ScriptClasses, RolesAndPositionsOfAttributes) {
  EXPECT_EQ(read(kLists + "  w : Tensor\n  b : Tensor\n  plain : Tensor\n  training : bool\n" +
                 "  inner : __torch__.a.___torch_mangle_1.B\n  packed : __torch__.torch.classes.q.C\n"),
      "b b 1; m inner 4; p w 0");
  EXPECT_EQ(read(kLists + "  w : Optional[Tensor]\n  b : Optional[Tensor]\n"), "p w 0");
  EXPECT_EQ(read(kHead + "  __parameters__ = [\"a-b\", ]\n  __buffers__ = []\n  __annotations__ = []\n"
                         "  __annotations__[\"a-b\"] = Tensor\n  __annotations__[\"0\"] = __torch__.B\n"),
      "m 0 1; p a-b 0");
  EXPECT_EQ(read(kLists + "  n : Final[int] = 3\n  def forward(self: __torch__.A,\n    w : Tensor) -> Tensor:\n"), "");
  EXPECT_EQ(read(kLists + "  def __setstate__(self: __torch__.A,\n    s: int) -> NoneType:\n"), "setstate");
  EXPECT_EQ(read("class A:\n  w : Tensor\n"), "not a module");
}

TEST(ScriptClasses, WithoutBuffersEveryTensorIsOne) {
  EXPECT_EQ(read(kHead + "  __parameters__ = [\"w\", ]\n  w : Tensor\n  mean : Tensor\n"), "b mean 1; p w 0");
}

TEST(ScriptClasses, OtherClassesAndTextAreSkipped) {
  EXPECT_EQ(read("import x\nop_version_set = 1\nclass B(Module):\n  w : Tensor\ndef f(x: Tensor):\n  w : Tensor\n" +
                 kLists + "  w : Tensor\n\n\t junk\n  ]][[\n    w : Tensor\nclass C(Module):\n  b : Tensor"),
      "p w 0");
  EXPECT_EQ(read("", "A"), "unknown");
  EXPECT_EQ(read(" class A(Module):\n"), "unknown");
}

TEST(ScriptClasses, UnreadableClassesAreUnknown) {
  for (const char* list : {"[", "[\"w", "[\"w\"", "[\"w\", ", "[[\"w\", ]]", "[\"w\" \"b\"]", "\"w\"", "['w']", ""})
    EXPECT_EQ(read(kHead + "  __parameters__ = " + list + "\n  w : Tensor\n"), "unknown") << list;
  EXPECT_EQ(read(kLists + "  __parameters__ = []\n"), "unknown") << "a list that is assigned twice";
  EXPECT_EQ(read(kLists + kLists), "unknown") << "a class that is defined twice";
}

TEST(ScriptClasses, LargeTextsTakeLinearTime) {
  const std::string million(1 << 20, 'a');
  const std::string brackets(1 << 20, '[');
  std::string names, many;
  for (int i = 0; i < 50'000; ++i) {
    names += "\"n" + std::to_string(i) + "\", ";
    many += "class C" + std::to_string(i) + "(Module):\n  w : Tensor\n";
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(
      read(kHead + "  __parameters__ = [\"" + million + "\", ]\n  " + million + " : Tensor\n"), "p " + million + " 0");
  EXPECT_EQ(read(kHead + "  __parameters__ = " + brackets + "\n"), "unknown");
  EXPECT_EQ(read(kHead + "  __annotations__[\"" + brackets + "\n  w : " + brackets + "\n"), "");
  EXPECT_EQ(read(many + kLists + "  w : Tensor\n"), "p w 0");
  EXPECT_EQ(read(kHead + "  __parameters__ = [" + names + "]\n  n49999 : Tensor\n"), "p n49999 0");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20)) << "with sanitizers, on a busy machine";
}

// An archive whose root is an object of __torch__.A with a state.
std::string archive(const std::string& state, const std::string& code) {
  const std::string root = named("__torch__", "A") + ")\x81" + state + "b";
  std::vector<Member> members = torch_members(root, {{"0", kFour}});
  members.push_back({.name = "archive/code/__torch__.py", .content = code, .deflated = true});
  return zip(members);
}

TEST(ScriptModule, TensorsOfTheStateDictInItsOrder) {
  const std::string state = dict({{"plain", kTensor}, {"b", kTensor}, {"w", kTensor}, {"n", number(1)}});
  Table table = table_of(archive(state, kLists + "  plain : Tensor\n  b : Tensor\n  w : Tensor\n  n : int\n"));
  EXPECT_EQ(listed(table), "w F32[4]; b F32[4]");
  EXPECT_EQ(unused_in(table), "plain (tensor that is not a parameter or buffer, so not in the state_dict, 1)");
  EXPECT_THAT(table.notes, testing::ElementsAre("a TorchScript archive: its code is not executed"));
}

TEST(ScriptModule, UnknownClassesHaveNamesOfPaths) {
  Table table = table_of(archive(dict({{"plain", kTensor}, {"w", kTensor}}), kLists + kLists));
  EXPECT_EQ(listed(table), "plain F32[4]; w F32[4]");
  EXPECT_THAT(
      table.notes, testing::Contains(HasSubstr("the parameters of 1 class are unknown (the first: __torch__.A)")));
}

}  // namespace
}  // namespace depickle::torch
