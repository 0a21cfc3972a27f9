#include "cli/hint.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include <fmt/format.h>

#include "depickle/base/text.h"

namespace depickle::cli {
namespace {

std::string_view options_for(Reason reason) {
  switch (reason) {
    case Reason::target_exists: return "choose another name, or replace it with --force";
    case Reason::target_is_source: return "choose another name with -o";
    case Reason::target_taken: return "convert it alone, with another name after -o";
    case Reason::no_space: return "choose another disk with -o";
    case Reason::checksum_mismatch: return "--no-checksums converts it as it is";
    case Reason::unsupported_dtype: return "--skip-unsupported converts the other tensors and lists the skipped ones";
    case Reason::ambiguous_root: return "choose one with --root, or take everything with --root .";
    case Reason::no_tensors: return "choose a part with --root";
    case Reason::no_such_variant:
      return "omit --variant, or list the names with: depickle download --include '*.safetensors' --include '*.bin'";
    case Reason::only_pickle: return "depickle convert ORG/NAME --pr opens a pull request that adds safetensors";
    case Reason::no_sandbox: return "--no-sandbox reads the file in the program's own process";
    case Reason::folder_in_use: return "stop it, or choose another folder with --data";
    case Reason::port_unavailable: return "choose another port with --port, or 0 for any free one";
    case Reason::time_limit: return "allow more time with serve --job-seconds";
    case Reason::host_not_allowed: return "allow the name with serve --name HOST";
    case Reason::unspecified:
    case Reason::target_busy:
    case Reason::target_is_folder:
    case Reason::unknown_format:
    case Reason::other_format:
    case Reason::model_too_large: return "";
  }
  return "";
}

// Returns a path as an argument of a shell: quoted, unless it only has letters, digits and "_.-".
std::string shell_word(const std::string& path) {
  const bool is_plain = !path.empty() && std::ranges::all_of(path, [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '.' || c == '-';
  });
  if (is_plain) return path;
  std::string quoted = "'";
  for (char c : printable(path)) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string root_options(const Error& error) {
  std::string text = "choose one: ";
  for (const std::string& path : error.choices()) text += fmt::format("--root {}, ", shell_word(path));
  return text + "or take everything with --root .";
}

}  // namespace

std::string hint(const Error& error) {
  if (error.reason() == Reason::ambiguous_root && !error.choices().empty()) return root_options(error);
  const std::string_view options = options_for(error.reason());
  // A hint that already names the repository is better than the general one.
  if (options.empty() || (error.reason() == Reason::only_pickle && !error.hint().empty())) return error.hint();
  return error.hint().empty() ? std::string(options) : error.hint() + "; " + std::string(options);
}

}  // namespace depickle::cli
