// Rules TT01 to TT06: the tensors that builders build.
#include <gmock/gmock.h>

#include "depickle/formats/torch/rebuild.h"
#include "tests/formats/torch/tables.h"

namespace depickle::torch {
namespace {

using namespace made;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kStorage = storage("FloatStorage", "0", 6), kHooks = call("collections", "OrderedDict", {});
const std::string kMatrix = tensor(kStorage, {2, 3}, {3, 1});

std::string built(const std::string& value) { return listed_zip(dict({{"w", value}}), {{"0", kSix}}); }
std::string refused(const std::string& value) { return refused_zip(dict({{"w", value}}), {{"0", kSix}}); }
std::string found_unsupported(const std::string& value, const TableOptions& options = {}) {
  return unsupported_in(table_of(torch_zip(dict({{"w", value}}), {{"0", kSix}}), options));
}

TEST(Rebuild, EveryFormOfATensor) {
  std::vector<std::string> geometry{kStorage, number(1), sizes({2, 2}), sizes({1, 2})};
  EXPECT_EQ(built(rebuild("_rebuild_tensor", geometry)), "w F32[2,2]@4 by [1,2]");
  EXPECT_EQ(built(kMatrix), "w F32[2,3]");
  EXPECT_EQ(built(tensor(kStorage, {}, {}, 5)), "w F32[]@20");
  EXPECT_EQ(built(tensor(kStorage, {0, 7}, {7, 1})), "w F32[0,7]");
  EXPECT_EQ(built(tensor(kStorage, {2, 3}, {1, 2})), "w F32[2,3] by [1,2]");
  EXPECT_EQ(built(tensor(kStorage, {4, 3}, {0, 1})), "w F32[4,3] by [0,1]");
  EXPECT_EQ(built(kStorage), "w F32[6]") << "a bare storage";
  EXPECT_EQ(built(rebuild("_rebuild_tensor_v2",
                {kStorage, number(0), call("torch", "Size", {sizes({6})}), list({number(1)}), kFalse, kHooks})),
      "w F32[6]");
}

TEST(Rebuild, V3TakesItsDtypeFromTheArgument) {
  auto v3 = [](std::string type, int64_t bytes, std::string dtype, int64_t count) {
    return rebuild("_rebuild_tensor_v3",
        {storage(type, "0", bytes), number(0), sizes({count}), sizes({1}), kFalse, kHooks, named("torch", dtype)});
  };
  EXPECT_EQ(built(v3("UntypedStorage", 24, "uint16", 12)), "w U16[12]");
  EXPECT_EQ(built(v3("UntypedStorage", 24, "float8_e5m2", 24)), "w F8_E5M2[24]");
  EXPECT_EQ(built(v3("UntypedStorage", 24, "float4_e2m1fn_x2", 3)), "w F4[6]") << "two values per byte";
  EXPECT_EQ(built(v3("FloatStorage", 6, "float32", 6)), "w F32[6]");
  EXPECT_EQ(found_unsupported(v3("UntypedStorage", 24, "complex32", 6)), "w: complex32, shape [6]");
  EXPECT_EQ(refused(v3("UntypedStorage", 24, "float128", 1)), "[TT04] name torch.float128 is not a dtype");
}

// The result of place() for the first four arguments of _rebuild_tensor_v2.
std::string placed(const std::string& type, int64_t numel, int64_t offset, std::initializer_list<int64_t> shape,
    std::initializer_list<int64_t> strides) {
  Contents contents = read_contents(source_of(
      torch_zip(tuple({storage(type, "0", numel), number(offset), sizes(shape), sizes(strides)}), {{"0", kSix}})));
  Arena arena;
  Rebuilder rebuilder(contents, arena, 0);
  auto args = contents.graph.children(contents.graph.root());
  try {
    PlacedTensor tensor = rebuilder.place(args[0], nullptr, args[1], args[2], args[3]);
    return std::string(tensor.storage.element->name) + " of " + std::string(tensor.storage.location) + " at " +
           std::to_string(tensor.offset);
  } catch (const Error& error) {
    return "[" + error.rule() + "] " + error.message();
  }
}

TEST(Rebuild, PlacesTensorsOfAnyDtypeInsideTheirStorage) {
  EXPECT_EQ(placed("FloatStorage", 6, 2, {2, 2}, {2, 1}), "float32 of cpu at 2");
  EXPECT_EQ(placed("FloatStorage", 6, 0, {1000, 6}, {0, 1}), "float32 of cpu at 0") << "a view takes no memory";
  EXPECT_EQ(placed("FloatStorage", 6, 9, {0, 5}, {5, 1}), "float32 of cpu at 9")
      << "a tensor without elements cannot reach outside";
  EXPECT_EQ(placed("QUInt8Storage", 24, 3, {3, 7}, {7, 1}), "quint8 of cpu at 3");
  EXPECT_THAT(placed("FloatStorage", 6, 3, {2, 2}, {2, 1}), StartsWith("[TT05]"));
  EXPECT_THAT(placed("FloatStorage", 6, 0, {2, 2}, {5, 1}), StartsWith("[TT05]"));
  EXPECT_THAT(placed("QUInt8Storage", 24, 4, {3, 7}, {7, 1}), StartsWith("[TT05]"));
  const int64_t huge = int64_t{1} << 62;
  EXPECT_THAT(placed("FloatStorage", 6, huge, {huge, huge}, {huge, huge}), StartsWith("[TT05]"))
      << "sums do not overflow";
  EXPECT_THAT(placed("FloatStorage", 6, 0, {2}, {2, 1}), StartsWith("[TT02]"));
}

TEST(Rebuild, ConjugateAndNegativeBitsAreKept) {
  std::string complex = storage("ComplexFloatStorage", "0", 3);
  EXPECT_EQ(built(tensor(complex, {3}, {1}, 0, dict({{"conj", kTrue}}))), "w C64[3] conj");
  EXPECT_EQ(built(tensor(complex, {3}, {1}, 0, dict({{"conj", kTrue}, {"neg", kTrue}}))), "w C64[3] conj neg");
  EXPECT_EQ(built(tensor(kStorage, {6}, {1}, 0, dict({{"neg", kTrue}, {"conj", kFalse}}))), "w F32[6] neg");
  EXPECT_EQ(built(tensor(kStorage, {6}, {1}, 0, kNone)), "w F32[6]");
  EXPECT_EQ(refused(tensor(kStorage, {6}, {1}, 0, ordered({{"neg", kTrue}}))),
      "[TT02] metadata is object collections.OrderedDict, not a dict")
      << "metadata is never ignored";
}

TEST(Rebuild, ParametersAreTheirData) {
  EXPECT_EQ(built(rebuild("_rebuild_parameter", {kMatrix, kTrue, kHooks})), "w F32[2,3]");
  EXPECT_EQ(built(rebuild("_rebuild_parameter_with_state", {kMatrix, kTrue, kHooks, dict({{"a", number(1)}})})),
      "w F32[2,3]");
  EXPECT_EQ(built(rebuild(
                "_rebuild_device_tensor_from_cpu_tensor", {kMatrix, named("torch", "float32"), text("xla"), kFalse})),
      "w F32[2,3]");
  EXPECT_EQ(built(call("torch.nn.parameter", "Parameter", {kMatrix, kTrue})), "w F32[2,3]");
  EXPECT_EQ(built(named("torch.nn.parameter", "Parameter") + tuple({kMatrix}) + "\x81"), "w F32[2,3]");
  EXPECT_EQ(built(call("torch.autograd.variable", "Variable", {kMatrix}) + tuple({kTrue, kFalse, kHooks}) + "b"),
      "w F32[2,3]");
  const std::string kEmpty = named("torch.nn.parameter", "Parameter") + ")\x81";
  EXPECT_EQ(built(kEmpty + tuple({kMatrix, kNone, kHooks, kTrue, kFalse}) + "b"), "w F32[2,3]")
      << "the state of a variable";
  EXPECT_EQ(built(kEmpty + tuple({kStorage, number(0), sizes({6}), sizes({1})}) + "b"), "w F32[6]")
      << "the state of a tensor";
  EXPECT_EQ(built(named("torch", "FloatTensor") + ")\x81" + tuple({kStorage, number(0), sizes({6}), sizes({1})}) + "b"),
      "w F32[6]")
      << "before torch 0.2";
}

TEST(Rebuild, FromTypeAcceptsOnlyBuilders) {
  auto from_type = [](std::string func, std::vector<std::string> args, std::string state = kNone) {
    return call("torch._tensor", "_rebuild_from_type_v2", {func, named("torch", "Tensor"), tuple(args), state});
  };
  std::vector<std::string> geometry{kStorage, number(0), sizes({6}), sizes({1}), kFalse, kHooks};
  EXPECT_EQ(built(from_type(named("torch._utils", "_rebuild_tensor_v2"), geometry)), "w F32[6]");
  EXPECT_EQ(built(call("torch._tensor", "_rebuild_from_type",
                {named("torch._utils", "_rebuild_tensor_v2"), named("torch", "Tensor"), tuple(geometry), kNone})),
      "w F32[6]");
  EXPECT_EQ(built(from_type(named("os", "system"), {text("id")})), "") << "not a tensor";
  EXPECT_EQ(built(from_type(text("os.system"), {text("id")})), "");
  std::string wrapper = from_type(named("torch._utils", "_rebuild_wrapper_subclass"),
      {kNone, named("torch", "float32"), sizes({2, 3})}, tuple({kNone, dict({{"_local_tensor", kMatrix}})}));
  EXPECT_EQ(found_unsupported(wrapper), "w: a tensor subclass without a storage of its own, shape [2, 3]");
  EXPECT_EQ(
      listed(table_of(torch_zip(dict({{"w", wrapper}}), {{"0", kSix}}), {.root = "."})), "w._local_tensor F32[2,3]")
      << "with the parts of unsupported tensors";
}

TEST(Rebuild, UnsupportedTensorsAreDescribed) {
  std::string scale = call("torch._utils", "_rebuild_qtensor",
      {storage("QInt8Storage", "0", 24), number(0), sizes({4, 6}), sizes({6, 1}),
          tuple({named("torch", "per_tensor_affine"), number(1), number(0)}), kFalse, kHooks});
  EXPECT_EQ(found_unsupported(scale), "w: quantized qint8, shape [4, 6]");
  std::string layout = call("torch.serialization", "_get_layout", {text("torch.sparse_coo")});
  std::string sparse = rebuild("_rebuild_sparse_tensor",
      {layout, tuple({tensor(storage("FloatStorage", "0", 6), {2, 2}, {2, 1}), kMatrix, sizes({5, 5}), kTrue})});
  EXPECT_EQ(found_unsupported(sparse), "w: sparse, shape [5, 5]");
  EXPECT_EQ(listed(table_of(torch_zip(dict({{"w", sparse}}), {{"0", kSix}}), {.root = "."})),
      "w.indices F32[2,2]; w.values F32[2,3]");
  EXPECT_EQ(found_unsupported(rebuild("_rebuild_nested_tensor", {kMatrix, kMatrix, kMatrix, kMatrix})), "w: nested");
  EXPECT_EQ(found_unsupported(rebuild(
                "_rebuild_device_tensor_from_numpy", {kMatrix, named("torch", "bfloat16"), text("xla"), kFalse})),
      "w: bfloat16 saved as F32 by another device");
}

TEST(Rebuild, TensorsWithoutDataAreUnused) {
  auto unused = [](const std::string& value) {
    return unused_in(table_of(torch_zip(dict({{"w", value}, {"v", kMatrix}}), {{"0", kSix}})));
  };
  EXPECT_EQ(unused(rebuild(
                "_rebuild_meta_tensor_no_storage", {named("torch", "float32"), sizes({2, 2}), sizes({2, 1}), kFalse})),
      "w (meta tensor without data, shape [2, 2], 0)");
  EXPECT_EQ(unused(call("torch.nn.parameter", "UninitializedParameter", {kTrue})),
      "w (uninitialized parameter without data, 0)");
}

TEST(Rebuild, TT01_missing_arguments) {
  EXPECT_EQ(refused(rebuild("_rebuild_tensor", {kStorage, number(0), sizes({6})})),
      "[TT01] _rebuild_tensor has 3 arguments (needs 4)");
  EXPECT_EQ(refused(rebuild("_rebuild_tensor_v2", {kStorage})), "[TT01] _rebuild_tensor_v2 has 1 arguments (needs 6)");
  EXPECT_EQ(refused(rebuild("_rebuild_parameter", {})), "[TT01] _rebuild_parameter has 0 arguments (needs 1)");
  EXPECT_EQ(refused(call("torch._tensor", "_rebuild_from_type_v2", {})),
      "[TT01] _rebuild_from_type_v2 has 0 arguments (needs 3)");
}

TEST(Rebuild, TT02_invalid_geometry) {
  auto with = [](std::string offset, std::string shape, std::string strides) {
    return refused(rebuild("_rebuild_tensor_v2", {kStorage, offset, shape, strides, kFalse, kHooks}));
  };
  EXPECT_EQ(with(number(0), text("6"), sizes({1})), "[TT02] shape is not a tuple (got str \"6\")");
  EXPECT_EQ(with(number(0), sizes({-6}), sizes({1})), "[TT02] shape contains int -6 (expected an int from 0 to 2^62)");
  EXPECT_EQ(with(number(0), tuple({text("6")}), sizes({1})),
      "[TT02] shape contains str \"6\" (expected an int from 0 to 2^62)");
  EXPECT_EQ(with(number(0), sizes({INT64_MAX}), sizes({1})),
      "[TT02] shape contains int 9223372036854775807 (expected an int from 0 to 2^62)");
  EXPECT_EQ(with(number(0), sizes({6}), sizes({-1})), "[TT02] stride contains int -1 (expected an int from 0 to 2^62)");
  EXPECT_EQ(with(number(0), sizes({6}), sizes({1, 1})), "[TT02] stride has 2 dimensions, but shape has 1");
  EXPECT_EQ(with(number(-1), sizes({6}), sizes({1})), "[TT02] the storage offset is int -1 (expected an int from 0)");
  EXPECT_EQ(with(kNone, sizes({6}), sizes({1})), "[TT02] the storage offset is None (expected an int from 0)");
  EXPECT_EQ(with(number(0), tuple(std::vector<std::string>(65, number(1))), sizes({1})),
      "[TT02] shape has 65 dimensions (at most 64)");
}

TEST(Rebuild, TT03_builders_nested_too_deep) {
  std::string deep = kMatrix;
  for (int i = 0; i < 10; ++i) deep = rebuild("_rebuild_parameter", {deep, kTrue, kHooks});
  EXPECT_EQ(built(deep), "w F32[2,3]");
  for (int i = 0; i < 10; ++i) deep = rebuild("_rebuild_parameter", {deep, kTrue, kHooks});
  EXPECT_EQ(refused(deep), "[TT03] builders are nested more than 16 deep");
}

TEST(Rebuild, TT04_arguments_that_are_not_storages) {
  EXPECT_EQ(refused(tensor(text("0"), {6}, {1})), "[TT04] str \"0\" is not a storage");
  EXPECT_EQ(refused(tensor(kNone, {6}, {1})), "[TT04] None is not a storage");
}

TEST(Rebuild, TT05_views_that_reach_outside) {
  EXPECT_EQ(refused(tensor(kStorage, {2, 3}, {3, 1}, 1)),
      "[TT05] shape [2, 3], strides [3, 1] of float32 at element 1 reaches outside its storage (have 24 bytes, need "
      "28)");
  EXPECT_THAT(refused(tensor(kStorage, {1}, {1}, int64_t{1} << 62)), StartsWith("[TT05] "));
  EXPECT_EQ(refused(tensor(kStorage, {int64_t{1} << 31, int64_t{1} << 31}, {1, 1})),
      "[TT05] shape [2147483648, 2147483648] of float32 overflows");
  EXPECT_EQ(built(tensor(kStorage, {0}, {1}, 1'000'000)), "w F32[0]@24") << "an empty tensor has no bytes";
}

TEST(Rebuild, TT06_views_that_repeat_a_small_storage) {
  std::string bomb = torch_zip(dict({{"w", tensor(kStorage, {int64_t{1} << 40}, {0})}}), {{"0", kSix}});
  Error error = error_of_file(bomb);
  EXPECT_EQ(error.code(), Code::limit);
  EXPECT_STREQ(error.what(),
      "f: tensor \"w\": [TT06] shape [1099511627776] of float32 needs 4,398,046,511,104 bytes, its storage has 24");
  std::string expanded = torch_zip(dict({{"w", tensor(kStorage, {100}, {0})}}), {{"0", kSix}});
  EXPECT_EQ(refusal(expanded), "accepted: w F32[100] by [0]");
  EXPECT_THAT(refusal(expanded, {.root = {}, .expand_limit_bytes = 399}), HasSubstr("[TT06]"));
  EXPECT_EQ(refusal(expanded, {.root = {}, .expand_limit_bytes = 400}), "accepted: w F32[100] by [0]");
}

}  // namespace
}  // namespace depickle::torch
