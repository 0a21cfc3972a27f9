#include "server/hub/git/attributes.h"

#include <algorithm>

namespace depickle::server::git {
namespace {

std::string hub_attributes() {
  std::string text;
  for (const char* pattern : {"*.7z", "*.arrow", "*.bin", "*.bz2", "*.ckpt", "*.ftz", "*.gz", "*.h5", "*.joblib",
           "*.lfs.*", "*.mlmodel", "*.model", "*.msgpack", "*.npy", "*.npz", "*.onnx", "*.ot", "*.parquet", "*.pb",
           "*.pickle", "*.pkl", "*.pt", "*.pth", "*.rar", "*.safetensors", "saved_model/**/*", "*.tar.*", "*.tar",
           "*.tflite", "*.tgz", "*.wasm", "*.xz", "*.zip", "*.zst", "*tfevents*"}) {
    text += std::string(pattern) + " filter=lfs diff=lfs merge=lfs -text\n";
  }
  return text;
}
const std::string kHubAttributesText = hub_attributes();

// The characters that separate fields in git, which does not count \v and \f.
constexpr std::string_view kBlank = " \t\r";

/// Returns the next field of a line, and removes it.
std::string_view take_field(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  const std::string_view field = line.substr(0, line.find_first_of(kBlank));
  line.remove_prefix(field.size());
  return field;
}

}  // namespace

const std::string_view kHubAttributes = kHubAttributesText;

AttributeFile::AttributeFile(std::string content) : content_(std::move(content)) {
  std::string_view rest = content_;
  for (size_t number = 0; !rest.empty(); ++number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    add(line, number);
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
}

void AttributeFile::add(std::string_view line, size_t number) {
  const std::string_view pattern = take_field(line);
  if (pattern.empty() || pattern.starts_with('#')) return;
  std::optional<bool> is_lfs;
  for (std::string_view field = take_field(line); !field.empty(); field = take_field(line)) {
    if (field == "filter=lfs")
      is_lfs = true;
    else if (field == "-filter" || field == "!filter" || field.starts_with("filter="))
      is_lfs = false;
  }
  if (!is_lfs) return;
  const Rule rule{number, *is_lfs};
  if (has_wildcard(pattern))
    wildcards_.push_back({rule, pattern});
  else if (pattern.find('/') == pattern.npos)
    names_[unescaped(pattern)] = rule;
  else
    paths_[unescaped(pattern.substr(pattern.starts_with('/') ? 1 : 0))] = rule;
}

std::optional<bool> AttributeFile::is_lfs(std::string_view path, MatchBudget& budget) const {
  std::optional<Rule> last;
  auto name = names_.find(path.substr(path.rfind('/') + 1));
  if (name != names_.end()) last = name->second;
  auto whole = paths_.find(path);
  if (whole != paths_.end() && (!last || last->line < whole->second.line)) last = whole->second;
  for (auto rule = wildcards_.rbegin(); rule != wildcards_.rend() && !(last && rule->line < last->line); ++rule)
    if (pattern_matches(rule->pattern, path, budget)) return rule->is_lfs;
  return last ? std::optional(last->is_lfs) : std::nullopt;
}

std::string attribute_line(std::string_view path) {
  std::string pattern;
  for (char c : path) {
    if (kBlank.find(c) != kBlank.npos) {
      pattern += "[[:space:]]";
    } else {
      if (c == '*' || c == '?' || c == '[' || c == '\\' || (pattern.empty() && (c == '#' || c == '!' || c == '"')))
        pattern += '\\';
      pattern += c;
    }
  }
  // A pattern without a slash would match in every folder.
  if (path.find('/') == path.npos) pattern = "/" + pattern;
  return pattern + " filter=lfs diff=lfs merge=lfs -text\n";
}

bool Attributes::is_lfs(std::string_view path) {
  for (size_t end = path.rfind('/');; end = end == 0 ? path.npos : path.rfind('/', end - 1)) {
    std::string_view folder = end == path.npos ? std::string_view() : path.substr(0, end + 1);
    auto at = files_.find(folder);
    if (at == files_.end()) {
      std::string content = read_(std::string(folder) + ".gitattributes").value_or("");
      budget_.spend(content.size() + 1);  // also limits the memory of all files
      at = files_.try_emplace(std::string(folder), std::move(content)).first;
    }
    if (std::optional<bool> found = at->second.is_lfs(path.substr(folder.size()), budget_)) return *found;
    if (folder.empty()) return false;
  }
}

}  // namespace depickle::server::git
