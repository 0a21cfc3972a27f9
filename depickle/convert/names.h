// What a converted file is called, and which files are not a model's weights at all. Pure: names in, names out.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace depickle::convert {

/// The safetensors name of a weights file, as the Hub's loaders expect it:
///   pytorch_model.bin                 → model.safetensors             (also .fp16 and other variants, and shards)
///   pytorch_model-00001-of-00002.bin  → model-00001-of-00002.safetensors
///   x.bin, x.pt, x.pth, x.ckpt        → x.safetensors                 (x.pth.tar too)
/// Folders before the name stay. Empty where the name has none of these endings.
std::optional<std::string> target_name(std::string_view path);

/// The same for a sharded model's index: pytorch_model.bin.index.json → model.safetensors.index.json,
/// pytorch_model.bin.index.fp16.json → model.safetensors.index.fp16.json. Empty where the name is not that of such an index.
std::optional<std::string> target_index_name(std::string_view path);

/// Why a file of this name holds no weights: "optimizer state" for optimizer.pt; empty where it may hold some. By name alone,
/// the names that transformers, accelerate and DeepSpeed give to what they need for going on with a training.
std::string_view not_weights(std::string_view path) noexcept;

}  // namespace depickle::convert
