#include "depickle/convert/tied.h"

#include <gtest/gtest.h>

#include "tests/scaling.h"

namespace depickle::convert {
namespace {

std::string_view kept(std::vector<std::string_view> names, const TiedNames& user = {}) {
  return names[kept_name(names, user)];
}

TEST(Tied, The_embedding_is_kept_and_the_head_dropped) {
  EXPECT_EQ(kept({"lm_head.weight", "transformer.wte.weight"}), "transformer.wte.weight");
  EXPECT_EQ(kept({"lm_head.weight", "model.decoder.embed_tokens.weight"}), "model.decoder.embed_tokens.weight");  // OPT
  EXPECT_EQ(
      kept({"proj_out.weight", "model.decoder.embed_tokens.weight"}), "model.decoder.embed_tokens.weight");  // Whisper
  EXPECT_EQ(kept({"embed_out.weight", "gpt_neox.embed_in.weight"}), "gpt_neox.embed_in.weight");
}

TEST(Tied, T5_keeps_the_shared_embedding) {
  EXPECT_EQ(kept({"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight", "shared.weight"}),
      "shared.weight");
  EXPECT_EQ(kept({"model.decoder.embed_tokens.weight", "model.encoder.embed_tokens.weight", "model.shared.weight"}),
      "model.shared.weight");
}

TEST(Tied, BERT_keeps_its_embedding_and_the_outer_bias) {
  EXPECT_EQ(kept({"bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"}),
      "bert.embeddings.word_embeddings.weight");
  EXPECT_EQ(kept({"cls.predictions.bias", "cls.predictions.decoder.bias"}), "cls.predictions.bias");
  EXPECT_EQ(kept({"lm_head.decoder.bias", "lm_head.bias"}), "lm_head.bias");
}

TEST(Tied, The_last_name_is_never_dropped) {
  EXPECT_EQ(kept({"lm_head.weight", "local_encoder.embed_tokens.weight"}), "lm_head.weight");
  EXPECT_EQ(kept({"a.lm_head.weight", "b.lm_head.weight"}), "a.lm_head.weight");
  EXPECT_EQ(kept({"lm_head.weight"}), "lm_head.weight");
}

TEST(Tied, An_ending_begins_at_a_dot) { EXPECT_EQ(kept({"alm_head.weight", "b.weight"}), "alm_head.weight"); }

TEST(Tied, Without_a_rule_the_first_name_is_kept) { EXPECT_EQ(kept({"w2", "w10", "w1"}), "w1"); }

TEST(Tied, The_user_has_priority) {
  EXPECT_EQ(kept({"lm_head.weight", "transformer.wte.weight"}, {.keep = {"lm_head.weight"}, .discard = {}}),
      "lm_head.weight");
  EXPECT_EQ(kept({"a", "b", "c"}, {.keep = {}, .discard = {"a"}}), "b");
  EXPECT_EQ(kept({"a", "b"}, {.keep = {}, .discard = {"a", "b"}}), "a");
  EXPECT_EQ(kept({"a", "b"}, {.keep = {"x"}, .discard = {"y"}}), "a");
}

TEST(Tied, A_million_names_of_one_tensor_take_linear_time) {
  for (const char* ending : {".encoder.embed_tokens.weight", ".lm_head.weight"}) {
    expect_linear(100'000, [&](size_t size) {
      std::vector<std::string> names;
      for (size_t i = 0; i < size; ++i) names.push_back(std::to_string(i) + (i % 2 ? ending : ".x"));
      const std::vector<std::string_view> views(names.begin(), names.end());
      EXPECT_EQ(views[kept_name(views, {})], "0.x");
    });
  }
}

}  // namespace
}  // namespace depickle::convert
