#include "server/hub/api/card.h"

#include "depickle/base/error.h"
#include "server/base/json_body.h"

namespace depickle::server::api {
namespace {

constexpr uint64_t kMaxFileBytes = 256 << 10;

std::string trimmed(std::string_view text) {
  constexpr std::string_view kTrimmed = " \t\r\"'";
  size_t first = text.find_first_not_of(kTrimmed);
  return first == std::string_view::npos ? ""
                                         : std::string(text.substr(first, text.find_last_not_of(kTrimmed) - first + 1));
}

std::string small_file(const repos::Repo& repo, const std::string& commit, std::string_view path) {
  auto entry = repo.find_entry(commit, path);
  if (!entry || !entry->is_file() || entry->lfs || entry->size_bytes > kMaxFileBytes) return {};
  return repo.blob(*entry);
}

void split_list(std::string_view text, std::vector<std::string>& out) {
  while (!text.empty()) {
    std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    if (std::string tag = trimmed(item); !tag.empty()) out.push_back(std::move(tag));
  }
}

void read_config(std::string_view text, Card& card) {
  JsonValue config;
  try {
    config = parse_body(text);
  } catch (const Error&) {
    return;
  }
  for (const JsonValue& name : config["architectures"].items())
    if (auto architecture = name.text()) card.architectures.push_back(*std::move(architecture));
  card.model_type = config["model_type"].string();
}

}  // namespace

Card parse_front_matter(std::string_view readme) {
  Card card;
  std::string key;
  bool inside = false;
  while (!readme.empty()) {
    std::string_view line = readme.substr(0, readme.find('\n'));
    readme.remove_prefix(std::min(readme.size(), line.size() + 1));
    if (trimmed(line) == "---") {
      if (inside) return card;
      inside = true;
      continue;
    }
    if (!inside) return {};
    if (size_t dash = line.find_first_not_of(' ');
        key == "tags" && dash != std::string_view::npos && line.substr(dash).starts_with("- ")) {
      card.tags.push_back(trimmed(line.substr(dash + 2)));
      continue;
    }
    size_t colon = line.find(':');
    if (colon == std::string_view::npos || line.starts_with(' ')) continue;
    key = line.substr(0, colon);
    std::string value = trimmed(line.substr(colon + 1));
    if (key == "library_name") card.library_name = value;
    if (key == "pipeline_tag") card.pipeline_tag = value;
    if (key == "license") card.license = value;
    if (key == "tags" && value.starts_with('[') && value.ends_with(']'))
      split_list(std::string_view(value).substr(1, value.size() - 2), card.tags);
  }
  return {};  // the closing line is missing
}

Card card_of(const repos::Repo& repo, const std::string& commit) {
  Card card = parse_front_matter(small_file(repo, commit, "README.md"));
  read_config(small_file(repo, commit, "config.json"), card);
  if (card.library_name.empty() && repo.find_entry(commit, "model_index.json")) card.library_name = "diffusers";
  if (card.library_name.empty() && !card.architectures.empty()) card.library_name = "transformers";
  return card;
}

}  // namespace depickle::server::api
