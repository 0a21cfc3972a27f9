// Names of converted files. Pure functions of names.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace depickle::convert {

/// Returns the safetensors name of a weights file, as the Hub's loaders expect it:
///   pytorch_model.bin                 → model.safetensors             (also .fp16 and other variants, and shards)
///   pytorch_model-00001-of-00002.bin  → model-00001-of-00002.safetensors
///   x.bin, x.pt, x.pth, x.ckpt        → x.safetensors                 (x.pth.tar too)
/// Folders before the name stay. Returns nullopt if the name has none of these extensions.
std::optional<std::string> target_name(std::string_view path);

/// Returns the same for a sharded model's index: pytorch_model.bin.index.json → model.safetensors.index.json,
/// pytorch_model.bin.index.fp16.json → model.safetensors.index.fp16.json. Returns nullopt for other names.
std::optional<std::string> target_index_name(std::string_view path);

}  // namespace depickle::convert
