#include "depickle/formats/detect/file_name.h"

#include <algorithm>
#include <span>

namespace depickle::detect {
namespace {

constexpr std::string_view kCheckpointEndings[] = {".bin", ".pt", ".pth", ".ckpt", ".pth.tar"};
constexpr std::string_view kOtherPickleEndings[] = {".pkl", ".pickle", ".ptl", ".joblib"};
constexpr std::string_view kOtherWeightsEndings[] = {".h5", ".msgpack", ".onnx", ".onnx_data", ".ot", ".tflite",
    ".gguf", ".ggml", ".pb", ".npz", ".npy", ".mlmodel", ".nemo"};
constexpr std::string_view kCompressionEndings[] = {".gz", ".z", ".bz2", ".xz", ".lzma", ".lz4"};
constexpr std::string_view kCodeEndings[] = {".py", ".pyc", ".so", ".sh", ".ipynb", ".js", ".dll", ".dylib", ".exe"};
constexpr std::string_view kConfigEndings[] = {
    ".json", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".gitattributes", ".jinja"};

// `ending` is in lower case.
bool ends_with(std::string_view path, std::string_view ending) {
  return path.size() >= ending.size() &&
         std::ranges::equal(path.substr(path.size() - ending.size()), ending,
             [](char c, char wanted) { return c == wanted || (c >= 'A' && c <= 'Z' && c + 32 == wanted); });
}

bool ends_with_any(std::string_view path, std::span<const std::string_view> endings) {
  return std::ranges::any_of(endings, [&](std::string_view ending) { return ends_with(path, ending); });
}

}  // namespace

bool is_safetensors_name(std::string_view path) noexcept { return ends_with(path, ".safetensors"); }

bool is_pickle_name(std::string_view path) noexcept {
  return ends_with_any(path, kCheckpointEndings) || ends_with_any(path, kOtherPickleEndings);
}

std::string_view without_compression(std::string_view path) noexcept {
  for (std::string_view ending : kCompressionEndings)
    if (ends_with(path, ending)) return path.substr(0, path.size() - ending.size());
  return path;
}

bool is_pkl_name(std::string_view path) noexcept { return ends_with(path, ".pkl"); }

bool is_numpy_name(std::string_view path) noexcept { return ends_with(path, ".npy") || ends_with(path, ".npz"); }

bool is_index_name(std::string_view path) noexcept {
  const std::string_view name = last_part(path);
  return name.ends_with(".json") &&
         (name.find(".safetensors.index.") != name.npos || name.find(".bin.index.") != name.npos);
}

bool is_safetensors_index_name(std::string_view path) noexcept {
  return is_index_name(path) && last_part(path).find(".safetensors.index.") != path.npos;
}

bool is_weights_name(std::string_view path) noexcept {
  return is_safetensors_name(path) || is_pickle_name(path) || is_index_name(path) ||
         ends_with_any(path, kOtherWeightsEndings);
}

bool is_model_file_name(std::string_view path) noexcept { return is_weights_name(path) || ends_with(path, ".json"); }

bool is_code_name(std::string_view path) noexcept { return ends_with_any(path, kCodeEndings); }

bool is_config_name(std::string_view path) noexcept { return ends_with_any(path, kConfigEndings); }

std::optional<std::string_view> checkpoint_stem(std::string_view path) noexcept {
  for (std::string_view ending : kCheckpointEndings)
    if (ends_with(path, ending) && last_part(path).size() > ending.size())
      return path.substr(0, path.size() - ending.size());
  return std::nullopt;
}

}  // namespace depickle::detect
