#include "depickle/convert/tied.h"

#include <algorithm>

namespace depickle::convert {
namespace {

// A loader makes a tensor whose name ends in `dropped` from one whose name ends in `kept`; from any other one if `kept`
// is empty.
struct Tie {
  std::string_view dropped;
  std::string_view kept;
};

// Rows apply in order, and only while a name that the loader can start from remains. So special rows come first.
constexpr Tie kTies[] = {
    // Two embeddings in one model.
    {"encoder.embed_tokens.weight", "shared.weight"},  // T5, BART and similar
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
    // Biases of heads with a tied weight.
    {"predictions.decoder.bias", "predictions.bias"},  // BERT, ALBERT
    {"lm_head.decoder.bias", "lm_head.bias"},          // RoBERTa
    {"ctc_head.bias", "encoder.out.bias"},
    // Heads whose names are ambiguous.
    {"decoder.weight", "embeddings.tok_embeddings.weight"},  // ModernBERT
    {"head.weight", "rwkv.embeddings.weight"},
    {"head.decoder.weight", "embed_tokens.weight"},
    {"output.weight", "word_embeddings.weight"},  // GIT
    {"ctc_head.weight", "encoder.out.weight"},
    {"codec_head", "codec_embedding.weight"},
    // Heads tied to any other tensor.
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

// Returns whether `name` is `ending` or ends in "." + `ending`.
bool has_ending(std::string_view name, std::string_view ending) {
  if (ending.empty()) return true;
  if (!name.ends_with(ending)) return false;
  return name.size() == ending.size() || name[name.size() - ending.size() - 1] == '.';
}

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::ranges::find(list, name) != list.end();
}

// Removes the names that `accepts` rejects, unless it rejects all.
template <typename Accepts>
void narrow(std::vector<std::string_view>& names, Accepts accepts) {
  if (std::ranges::any_of(names, accepts)) std::erase_if(names, [&](std::string_view name) { return !accepts(name); });
}

// From the last name to the first, drops a name if another one that the loader can start from remains. O(names).
void drop(std::vector<std::string_view>& names, const Tie& tie) {
  auto is_start = [&](std::string_view name) { return has_ending(name, tie.kept); };
  auto starts = std::ranges::count_if(names, is_start);
  size_t first_kept = names.size();
  for (size_t i = names.size(); i-- > 0;) {
    if (has_ending(names[i], tie.dropped) && starts > (is_start(names[i]) ? 1 : 0)) {
      starts -= is_start(names[i]);
    } else {
      names[--first_kept] = names[i];
    }
  }
  names.erase(names.begin(), names.begin() + static_cast<ptrdiff_t>(first_kept));
}

}  // namespace

size_t kept_name(std::span<const std::string_view> names, const TiedNames& user) {
  std::vector<std::string_view> candidates(names.begin(), names.end());
  narrow(candidates, [&](std::string_view name) { return contains(user.keep, name); });
  narrow(candidates, [&](std::string_view name) { return !contains(user.discard, name); });
  for (const Tie& tie : kTies) drop(candidates, tie);
  std::string_view kept = *std::ranges::min_element(candidates);
  return static_cast<size_t>(std::ranges::find(names, kept) - names.begin());
}

}  // namespace depickle::convert
