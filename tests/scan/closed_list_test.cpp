#include "depickle/scan/closed_list.h"

#include <gtest/gtest.h>

#include "depickle/scan/risks.h"

namespace depickle::scan {
namespace {

pickle::Global global(std::string_view module, std::string_view name) {
  return {.module = module, .name = name, .count = 1, .offset_bytes = 0};
}
bool inert(std::string_view module, std::string_view name) { return is_inert(global(module, name)); }
std::string_view risk(std::string_view module, std::string_view name) { return risk_of(global(module, name)).effect; }

TEST(IsInert, MatchesExactPairsOnly) {
  EXPECT_TRUE(inert("collections", "OrderedDict"));
  EXPECT_TRUE(inert("torch._utils", "_rebuild_tensor_v2"));
  EXPECT_TRUE(inert("torch", "FloatStorage"));
  EXPECT_TRUE(inert("torch.cuda", "HalfStorage"));
  EXPECT_TRUE(inert("torch.cuda", "FloatTensor"));
  EXPECT_TRUE(inert("torch", "bfloat16"));
  EXPECT_TRUE(inert("__builtin__", "set"));
  EXPECT_TRUE(inert("numpy", "float32"));
  for (auto [module, name] : {std::pair{"os", "system"}, {"torch._utils", "_rebuild_tensor_v2.__globals__"},
           {"torch._utils", "_import_dotted_name"}, {"torch", "load"}, {"torch", "hub.load"}, {"builtins", "eval"},
           {"builtins", "getattr"}, {"builtins", "set.__class__"}, {"numpy", "load"}, {"torch.foo", "FloatStorage"},
           {"collections", "OrderedDict.__reduce__"}, {"Collections", "OrderedDict"}, {"torch.storage", "os"},
           {"torch", "Tensor.__class__"}, {"functools", "partial"}, {"torch.serialization", "os"},
           {"numpy.core.multiarray", "__builtins__"}, {"torch.nn.modules.linear", "Linear"}, {"argparse", "Namespace"}})
    EXPECT_FALSE(inert(module, name)) << module << "." << name;
}

TEST(DescribeRisk, MatchesModulesAndTheModulesInsideThem) {
  EXPECT_EQ(risk("os", "system"), "runs commands and changes files");
  EXPECT_EQ(risk("__builtin__", "eval"), "runs Python code");
  EXPECT_EQ(risk("asyncio.unix_events", "x"), "starts processes");
  EXPECT_EQ(risk("osmium", "system"), "is not known to depickle") << "a prefix of the name is not the module";
  EXPECT_EQ(risk("builtins", "unknown"), "is not known to depickle");
}

}  // namespace
}  // namespace depickle::scan
