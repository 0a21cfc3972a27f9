#include "depickle/formats/safetensors/layout.h"

#include <gmock/gmock.h>

#include "tests/formats/safetensors/files.h"

namespace depickle::safetensors {
namespace {

using testing::HasSubstr;

const std::vector<uint64_t> kTwo{2}, kThree{3}, kScalar{}, kHuge{uint64_t{1} << 58};

std::string json_of(const FilePlan& plan) { return plan.head.substr(8); }
std::string rule_of_plan(const std::vector<TensorSpec>& specs, const std::optional<Metadata>& metadata = std::nullopt) {
  return error_of([&] { plan_file(specs, metadata); }).rule();
}

TEST(FilePlan, LargestElementsComeFirstThenNames) {
  std::vector<TensorSpec> specs{{"z", Dtype::F32, kTwo}, {"flag", Dtype::BOOL, kThree}, {"a", Dtype::F32, kScalar},
      {"step", Dtype::I64, kScalar}};
  FilePlan plan = plan_file(specs);
  std::vector<uint32_t> order;
  for (const Place& place : plan.places) order.push_back(place.spec);
  EXPECT_THAT(order, testing::ElementsAre(3, 2, 0, 1));
  EXPECT_EQ(plan.places[0].begin, plan.head.size());
  EXPECT_EQ(plan.places[2].size_bytes(), 8u);
  EXPECT_EQ(plan.file_bytes, plan.head.size() + 8 + 4 + 8 + 3);
  EXPECT_THAT(json_of(plan), testing::StartsWith(R"({"step":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
                                                 R"("a":{"dtype":"F32","shape":[],"data_offsets":[8,12]},"z":)"));
}

TEST(FilePlan, CanBeReadBack) {
  std::vector<TensorSpec> specs{{"quote\" and \n and \x01 and é", Dtype::F4, kTwo}, {"", Dtype::U8, kThree}};
  FilePlan plan = plan_file(specs, Metadata{{"z", "1"}, {"a", "\\"}});
  Header header = Header::parse(bytes(plan.head).subspan(8), plan.file_bytes - plan.head.size(), Mode::strict);
  EXPECT_EQ(header.find(specs[0].name)->dtype, Dtype::F4);
  EXPECT_THAT(header.metadata(), testing::ElementsAre(testing::Pair("a", "\\"), testing::Pair("z", "1")));
}

TEST(FilePlan, AFileWithoutTensorsHasAHeader) {
  EXPECT_EQ(json_of(plan_file({})), "{}      ");
  EXPECT_EQ(json_of(plan_file({}, Metadata{})), "{\"__metadata__\":{}}     ");
}

TEST(FilePlan, TheHeaderIsPaddedSoThatTheDataIsAligned) {
  for (uint64_t align : {8, 64, 4096, 1 << 20})
    EXPECT_EQ(plan_file(std::vector<TensorSpec>{{"w", Dtype::F32, kTwo}}, std::nullopt, align).head.size() % align, 0u);
  for (uint64_t align : {0, 1, 4, 24, 1 << 21})
    EXPECT_EQ(error_of([&] { plan_file({}, std::nullopt, align); }).code(), Code::unsupported) << align;
}

TEST(FilePlan, ST02_headers_over_the_limit) {
  std::string long_name(kMaxHeaderBytes + 1, 'n');
  Error error = error_of([&] { plan_file(std::vector<TensorSpec>{{long_name, Dtype::U8, kTwo}}); });
  EXPECT_EQ(error.rule(), "ST02");
  EXPECT_EQ(error.code(), Code::limit);
}

TEST(FilePlan, ST04_text_that_is_not_utf8) {
  EXPECT_EQ(rule_of_plan({{"\xff", Dtype::U8, kTwo}}), "ST04");
  EXPECT_EQ(rule_of_plan({}, Metadata{{"k", "\xff"}}), "ST04");
}

TEST(FilePlan, ST12_repeated_names) {
  EXPECT_EQ(rule_of_plan({{"a", Dtype::U8, kTwo}, {"b", Dtype::U8, kTwo}, {"a", Dtype::F32, kTwo}}), "ST12");
}

TEST(FilePlan, ST13_sizes_that_overflow) {
  std::vector<uint64_t> too_much{uint64_t{1} << 40, uint64_t{1} << 40};
  EXPECT_EQ(rule_of_plan({{"a", Dtype::U8, too_much}}), "ST13");
  std::vector<std::string> names;
  for (int i = 0; i < 40; ++i) names.push_back(std::to_string(i));
  std::vector<TensorSpec> specs;
  for (const std::string& name : names) specs.push_back({name, Dtype::U8, kHuge});
  EXPECT_EQ(rule_of_plan(specs), "ST13");
}

TEST(FilePlan, ST14_tensors_that_do_not_end_on_a_byte) { EXPECT_EQ(rule_of_plan({{"a", Dtype::F4, kThree}}), "ST14"); }
TEST(FilePlan, ST20_repeated_metadata_keys) { EXPECT_EQ(rule_of_plan({}, Metadata{{"k", "1"}, {"k", "2"}}), "ST20"); }
TEST(FilePlan, ST24_the_reserved_name) { EXPECT_EQ(rule_of_plan({{"__metadata__", Dtype::U8, kTwo}}), "ST24"); }

}  // namespace
}  // namespace depickle::safetensors
