#include "depickle/convert/names.h"

#include "depickle/formats/detect/file_name.h"

namespace depickle::convert {
namespace {

// A path, divided into its folders (with the last slash) and its file name.
struct Split {
  std::string_view folders;
  std::string_view name;
};

Split split(std::string_view path) {
  size_t slash = path.rfind('/');
  size_t cut = slash == std::string_view::npos ? 0 : slash + 1;
  return {path.substr(0, cut), path.substr(cut)};
}

// Replaces "pytorch_model" with "model" if it is the whole first part of the name; diffusion_pytorch_model stays.
std::string renamed(std::string_view stem) {
  constexpr std::string_view kOld = "pytorch_model";
  const bool is_first_part =
      stem.starts_with(kOld) && (stem.size() == kOld.size() || stem[kOld.size()] == '.' || stem[kOld.size()] == '-');
  return is_first_part ? "model" + std::string(stem.substr(kOld.size())) : std::string(stem);
}

}  // namespace

std::optional<std::string> target_name(std::string_view path) {
  const auto stem = detect::checkpoint_stem(path);
  if (!stem) return std::nullopt;
  auto [folders, name] = split(*stem);
  return std::string(folders) + renamed(name) + ".safetensors";
}

std::optional<std::string> target_index_name(std::string_view path) {
  constexpr std::string_view kMiddle = ".bin.index.", kEnd = "json";
  auto [folders, name] = split(path);
  size_t middle = name.rfind(kMiddle);
  if (middle == std::string_view::npos || middle == 0 || !name.ends_with(kEnd)) return std::nullopt;
  std::string_view variant = name.substr(middle + kMiddle.size());  // "json" or "fp16.json"
  if (variant != kEnd && !variant.ends_with(".json")) return std::nullopt;
  return std::string(folders) + renamed(name.substr(0, middle)) + ".safetensors.index." + std::string(variant);
}

}  // namespace depickle::convert
