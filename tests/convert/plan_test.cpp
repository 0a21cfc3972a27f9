#include "depickle/convert/plan.h"

#include <gmock/gmock.h>

#include "depickle/base/error.h"
#include "tests/convert/made.h"

namespace depickle::convert {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> names(const ConversionPlan& plan, const Weights& source) {
  std::vector<std::string> out;
  for (const TensorPlacement& placed : plan.tensors) out.emplace_back(source.tensors()[placed.tensor].name);
  return out;
}

std::vector<std::string> ties(const ConversionPlan& plan) {
  std::vector<std::string> out;
  for (const Alias& alias : plan.aliases) out.push_back(std::string(alias.dropped) + " = " + std::string(alias.kept));
  return out;
}

Error plan_error(const Weights& source, const PlanOptions& options = {}) {
  return error_of([&] { plan_conversion(source, options); });
}

TEST(ConversionPlan, Tensors_are_ordered_like_the_reference) {
  Weights source = Made()
                       .add("b", Dtype::F32, {2})
                       .add("flag", Dtype::BOOL, {3}, {}, 8)
                       .add("a", Dtype::F32, {2}, {}, 16)
                       .add("n", Dtype::I64, {}, {}, 24)
                       .build();
  ConversionPlan planned = plan_conversion(source);
  EXPECT_THAT(names(planned, source), ElementsAre("n", "a", "b", "flag"));
}

TEST(ConversionPlan, Tensors_follow_the_head_without_gaps) {
  Weights source =
      Made().add("a", Dtype::F32, {2}).add("empty", Dtype::F32, {0, 4}).add("flag", Dtype::BOOL, {3}, {}, 64).build();
  ConversionPlan planned = plan_conversion(source);
  uint64_t next = planned.head.size();
  for (const TensorPlacement& placed : planned.tensors) {
    EXPECT_EQ(placed.begin, next);
    next = placed.end;
  }
  EXPECT_EQ(next, planned.file_bytes);
  EXPECT_EQ(planned.tensor_bytes, 8u + 3u);
}

TEST(ConversionPlan, The_metadata_contains_the_format) {
  Weights source = Made().add("a", Dtype::F32, {2}).build();
  EXPECT_THAT(plan_conversion(source).head,
      HasSubstr(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"));
}

TEST(ConversionPlan, Data_begins_at_the_requested_alignment) {
  Weights source = Made().add("a", Dtype::F32, {2}).build();
  EXPECT_EQ(plan_conversion(source).head.size() % 8, 0u);
  EXPECT_EQ(plan_conversion(source, {.align_bytes = 64}).head.size() % 64, 0u);
  EXPECT_EQ(plan_conversion(source, {.align_bytes = 4096}).head.size(), 4096u);
}

TEST(ConversionPlan, Exact_duplicates_are_stored_once_and_recorded) {
  Weights source = Made().add("lm_head.weight", Dtype::F32, {2, 3}).add("wte.weight", Dtype::F32, {2, 3}).build();
  ConversionPlan planned = plan_conversion(source);
  EXPECT_THAT(names(planned, source), ElementsAre("wte.weight"));
  EXPECT_THAT(ties(planned), ElementsAre("lm_head.weight = wte.weight"));
  EXPECT_THAT(planned.head, HasSubstr(R"("__metadata__":{"format":"pt","lm_head.weight":"wte.weight"})"));
}

TEST(ConversionPlan, Strided_duplicates_are_stored_once) {
  Weights source = Made().add("a", Dtype::F32, {2, 3}, {1, 2}).add("b", Dtype::F32, {2, 3}, {1, 2}).build();
  EXPECT_THAT(ties(plan_conversion(source)), ElementsAre("b = a"));
}

TEST(ConversionPlan, Every_other_overlap_is_written_in_full) {
  Made made;
  made.add("a", Dtype::F32, {2, 3})
      .add("flat", Dtype::F32, {6})
      .add("t", Dtype::F32, {3, 2}, {1, 3})
      .add("bits", Dtype::I32, {2, 3})
      .add("part", Dtype::F32, {3}, {}, 4);
  made.add("u", Dtype::F32, {2, 3}, {1, 2});
  made.add_tensor("negated", {.dtype = Dtype::F32, .negate = true}, {2, 3});
  made.add_storage().add("elsewhere", Dtype::F32, {2, 3});
  Weights source = made.build();
  ConversionPlan planned = plan_conversion(source);
  EXPECT_THAT(ties(planned), IsEmpty());
  EXPECT_EQ(planned.tensors.size(), 8u);
}

TEST(ConversionPlan, Empty_tensors_are_never_tied) {
  Weights source = Made().add("a", Dtype::F32, {0}).add("b", Dtype::F32, {0}).build();
  EXPECT_THAT(ties(plan_conversion(source)), IsEmpty());
}

TEST(ConversionPlan, A_tensor_named_format_is_not_dropped) {
  Weights source = Made().add("a", Dtype::F32, {2}).add("b", Dtype::F32, {2}).add("format", Dtype::F32, {2}).build();
  ConversionPlan planned = plan_conversion(source);
  EXPECT_THAT(ties(planned), ElementsAre("b = a"));
  EXPECT_THAT(names(planned, source), ElementsAre("a", "format"));
}

TEST(ConversionPlan, Ties_copy_stores_every_name) {
  Weights source = Made().add("a", Dtype::F32, {2}).add("b", Dtype::F32, {2}).build();
  ConversionPlan planned = plan_conversion(source, {.ties = PlanOptions::Ties::copy});
  EXPECT_THAT(names(planned, source), ElementsAre("a", "b"));
  EXPECT_THAT(ties(planned), IsEmpty());
}

TEST(ConversionPlan, The_user_chooses_among_tied_names) {
  Weights source = Made().add("a", Dtype::F32, {2}).add("b", Dtype::F32, {2}).build();
  EXPECT_THAT(ties(plan_conversion(source, {.tied_names = {.keep = {"b"}, .discard = {}}})), ElementsAre("a = b"));
}

TEST(ConversionPlan, Unsupported_tensors_are_refused_with_their_names) {
  Made made;
  made.add("a", Dtype::F32, {2})
      .builder()
      .unsupported({{"z", "complex128, shape [2]"}, {"q", "quantized"}, {"s", "sparse"}, {"u", "quantized"}});
  Weights source = made.build();
  Error error = plan_error(source);
  EXPECT_EQ(error.code(), Code::unsupported);
  EXPECT_EQ(error.message(),
      R"(safetensors cannot represent 4 tensors: "z" (complex128, shape [2]), "q" (quantized), "s" (sparse) …)");
  EXPECT_EQ(error.reason(), Reason::unsupported_dtype);
  EXPECT_EQ(plan_conversion(source, {.skip_unsupported = true}).tensors.size(), 1u);
}

TEST(ConversionPlan, A_file_without_tensors_is_refused) {
  Made made;
  made.builder().unused({{"optimizer", "dict, 12 items", 0}});
  Error error = plan_error(made.build());
  EXPECT_EQ(error.message(), "contains no tensors");
  EXPECT_THAT(error.hint(), HasSubstr("optimizer"));
}

TEST(ConversionPlan, The_reserved_name_is_refused) {
  EXPECT_STREQ(plan_error(Made().add("__metadata__", Dtype::F32, {2}).build()).what(),
      R"(tensor "__metadata__": safetensors reserves this name)");
}

TEST(ConversionPlan, A_negated_integer_tensor_is_refused) {
  Made made;
  made.add_tensor("n", {.dtype = Dtype::I32, .negate = true}, {2});
  EXPECT_EQ(plan_error(made.build()).code(), Code::unsupported);
}

}  // namespace
}  // namespace depickle::convert
