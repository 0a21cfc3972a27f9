#include "depickle/convert/tied.h"

#include <algorithm>

namespace depickle::convert {
namespace {

// A name that ends in `dropped` is made by its loader from one that ends in `kept` (from any other, where that is empty).
struct Tie {
  std::string_view dropped;
  std::string_view kept;
};

// In order: a row applies only while a name for it to be made from is left, so the special rows stand before the general ones.
constexpr Tie kTies[] = {
    // Two embeddings in one model.
    {"encoder.embed_tokens.weight", "shared.weight"},  // T5, BART and their kin
    {"decoder.embed_tokens.weight", "shared.weight"},
    {"text_encoder.embed_tokens.weight", "shared.weight"},  // SeamlessM4T
    {"text_decoder.embed_tokens.weight", "shared.weight"},
    {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"},  // FSMT
    {"decoder.embed_tokens.weight", "encoder.text_model.embed_tokens.weight"},
    {"encoder.word_embeddings.weight", "word_embeddings.weight"},  // ProphetNet
    {"decoder.word_embeddings.weight", "word_embeddings.weight"},
    {"local_encoder.embed_tokens.weight", "lm_head.weight"},                                // BLT
    {"embed_tokens.embed_audio_tokens.weight", "depth_decoder.model.embed_tokens.weight"},  // CSM
    // UDOP, SAM.
    {"encoder.embed_patches.proj.weight", "patch_embed.proj.weight"},
    {"encoder.embed_patches.proj.bias", "patch_embed.proj.bias"},
    {"relative_bias.biases.0.relative_attention_bias.weight", "SelfAttention.relative_attention_bias.weight"},
    {"prompt_encoder.shared_embedding.positional_embedding", "shared_image_embedding.positional_embedding"},
    // The biases of heads whose weight is tied.
    {"predictions.decoder.bias", "predictions.bias"},  // BERT, ALBERT
    {"lm_head.decoder.bias", "lm_head.bias"},          // RoBERTa
    {"ctc_head.bias", "encoder.out.bias"},
    // Heads with names that also mean other things.
    {"decoder.weight", "embeddings.tok_embeddings.weight"},  // ModernBERT
    {"head.weight", "rwkv.embeddings.weight"},
    {"head.decoder.weight", "embed_tokens.weight"},
    {"output.weight", "word_embeddings.weight"},  // GIT
    {"ctc_head.weight", "encoder.out.weight"},
    {"codec_head", "codec_embedding.weight"},
    // Heads, whatever they are tied to.
    {"lm_head.weight", ""},
    {"lm_head.decoder.weight", ""},
    {"lm_head.out_proj.weight", ""},
    {"lm_head.additional_fc.weight", ""},
    {"generator_lm_head.weight", ""},  // ELECTRA
    {"predictions.decoder.weight", ""},
    {"mlm_score.decoder.weight", ""},
    {"lm_loss.weight", ""},          // XLNet
    {"pred_layer.proj.weight", ""},  // XLM
    {"vocab_projector.weight", ""},  // DistilBERT
    {"embed_out.weight", ""},        // GPT-NeoX
    {"proj_out.weight", ""},         // Whisper
    {"output_projection.weight", ""},
    {"unembedding_projection.weight", ""},
};

// Whether `name` is `ending` or ends in it after a dot.
bool has_ending(std::string_view name, std::string_view ending) {
  if (ending.empty()) return true;
  if (!name.ends_with(ending)) return false;
  return name.size() == ending.size() || name[name.size() - ending.size() - 1] == '.';
}

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::ranges::find(list, name) != list.end();
}

// Keeps in `names` those that `belongs` accepts, or all where it accepts none.
template <typename Belongs>
void narrow(std::vector<std::string_view>& names, Belongs belongs) {
  if (std::ranges::any_of(names, belongs)) std::erase_if(names, [&](std::string_view name) { return !belongs(name); });
}

void drop(std::vector<std::string_view>& names, const Tie& tie) {
  for (size_t i = names.size(); i-- > 0;) {
    auto owns = [&](std::string_view other) { return other != names[i] && has_ending(other, tie.kept); };
    if (has_ending(names[i], tie.dropped) && std::ranges::any_of(names, owns))
      names.erase(names.begin() + static_cast<ptrdiff_t>(i));
  }
}

}  // namespace

size_t kept_name(std::span<const std::string_view> names, const TiedNames& wishes) {
  std::vector<std::string_view> left(names.begin(), names.end());
  narrow(left, [&](std::string_view name) { return contains(wishes.keep, name); });
  narrow(left, [&](std::string_view name) { return !contains(wishes.discard, name); });
  for (const Tie& tie : kTies) drop(left, tie);
  std::string_view kept = *std::ranges::min_element(left);
  return static_cast<size_t>(std::ranges::find(names, kept) - names.begin());
}

}  // namespace depickle::convert
