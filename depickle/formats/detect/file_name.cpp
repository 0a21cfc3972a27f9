#include "depickle/formats/detect/file_name.h"

#include <algorithm>
#include <cctype>
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

// Accepts "optimizer" in optimizer.pt, optimizer_1.bin and optimizer-00001-of-00002.bin, not in optimizers_model.bin.
bool begins_with_word(std::string_view name, std::string_view word) {
  if (!name.starts_with(word)) return false;
  name.remove_prefix(word.size());
  if (name.starts_with('_') || name.starts_with('-'))
    return name.size() > 1 && std::isdigit(static_cast<unsigned char>(name[1]));
  return name.empty() || name.starts_with('.');
}

// Accepts the names that end with the word "optimizer" before the ending: policy.optimizer.pth of stable-baselines3;
// opt070000.pt of guided-diffusion, but not opt-125m.bin, which is a model.
bool is_optimizer_name(std::string_view name) {
  constexpr std::string_view kStems[] = {
      "adam_state", "optim", "optim_state", "optimizer_state", "optimizer_states", "optimizer_state_dict"};
  const std::string_view stem = checkpoint_stem(name).value_or("");
  for (std::string_view word : {".optimizer", "_optimizer", "-optimizer"})
    if (stem.ends_with(word)) return true;
  auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const std::string_view number = stem.starts_with("opt") ? stem.substr(3) : "";
  return std::ranges::find(kStems, stem) != std::end(kStems) ||
         (number.size() >= 4 && std::ranges::all_of(number, is_digit));
}

// Accepts the files of metrics and statistics.
bool is_metrics_name(std::string_view name) {
  constexpr std::string_view kStems[] = {"metrics", "train_metrics", "eval_metrics", "losses", "train_losses",
      "loss_history", "training_history", "training_stats", "fid_stats", "fid_statistics"};
  return std::ranges::find(kStems, checkpoint_stem(name).value_or("")) != std::end(kStems);
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

std::string_view not_weights(std::string_view path) noexcept {
  const std::string_view name = last_part(path);
  if (begins_with_word(name, "optimizer")) return "optimizer state";
  if (name.ends_with("_optim_states.pt") || is_optimizer_name(name)) return "optimizer state";
  if (begins_with_word(name, "scheduler")) return "learning-rate scheduler state";
  if (begins_with_word(name, "training_args")) return "training arguments";
  if (begins_with_word(name, "rng_state") || begins_with_word(name, "random_states"))
    return "random number generator state";
  if (begins_with_word(name, "scaler")) return "gradient scaler state";
  if (begins_with_word(name, "sampler") || begins_with_word(name, "dl_state_dict")) return "data loader state";
  if (begins_with_word(name, "trainer_state")) return "trainer state";
  if (is_metrics_name(name)) return "metrics";
  return "";
}

}  // namespace depickle::detect
