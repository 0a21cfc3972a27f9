// What a file may be, from its name alone: for choosing files of a folder or repository that have not been read. Names
// may be paths. The case of an ending does not matter; the name of an index is matched exactly, as libraries match it.
#pragma once

#include <optional>
#include <string_view>

namespace depickle::detect {

/// Returns the last part of a path.
constexpr std::string_view last_part(std::string_view path) noexcept { return path.substr(path.rfind('/') + 1); }

/// Returns whether the ending is ".safetensors".
bool is_safetensors_name(std::string_view path) noexcept;
/// Returns whether a loader would unpickle the file: ".bin", ".pt", ".pth", ".ckpt", ".pth.tar", ".pkl", ".pickle",
/// ".ptl", ".joblib".
bool is_pickle_name(std::string_view path) noexcept;
/// Returns whether the ending is ".pkl", which all pickles in a torch zip have.
bool is_pkl_name(std::string_view path) noexcept;
/// Returns whether the name ends in ".npy" or ".npz".
bool is_numpy_name(std::string_view path) noexcept;
/// Returns the name without the ending of a compressed file: "model.pkl" for "model.pkl.gz".
std::string_view without_compression(std::string_view path) noexcept;
/// Returns whether the file is the index of a sharded model: "model.safetensors.index.json",
/// "pytorch_model.bin.index.fp16.json".
bool is_index_name(std::string_view path) noexcept;
/// Returns whether the file is an index of safetensors shards.
bool is_safetensors_index_name(std::string_view path) noexcept;
/// Returns whether the file contains weights in any format, or is an index of weights.
bool is_weights_name(std::string_view path) noexcept;
/// Returns whether the path names a file of a model, and not a repository ORG/NAME: weights, an index or other JSON.
bool is_model_file_name(std::string_view path) noexcept;
/// Returns whether the file contains code that a loader or a user may execute: ".py", ".so", ".sh", …
bool is_code_name(std::string_view path) noexcept;
/// Returns whether the file contains settings: ".json", ".yaml", ".gitattributes", …
bool is_config_name(std::string_view path) noexcept;

/// Returns the path without its ending if a torch checkpoint has that ending: ".bin", ".pt", ".pth", ".ckpt",
/// ".pth.tar". nullopt for other endings, and for a name that is only an ending.
std::optional<std::string_view> checkpoint_stem(std::string_view path) noexcept;

/// Returns why a file with this name does not contain weights: "optimizer state" for optimizer.pt; empty if it may
/// contain weights. Knows only unambiguous names of the state of a training run, such as those of transformers,
/// accelerate and DeepSpeed.
std::string_view not_weights(std::string_view path) noexcept;

}  // namespace depickle::detect
