#include "server/hub/git/pointer.h"

#include <charconv>

#include <fmt/format.h>

#include "server/hub/git/digits.h"

namespace depickle::server::git {

std::optional<LfsPointer> parse_pointer(std::string_view blob) {
  constexpr std::string_view kFirst = "version https://git-lfs.github.com/spec/v1\n";
  if (blob.size() > kMaxPointerBytes || !blob.starts_with(kFirst)) return std::nullopt;
  LfsPointer pointer;
  bool has_size = false;
  for (std::string_view rest = blob.substr(kFirst.size()); !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.starts_with("oid sha256:")) pointer.oid = line.substr(11);
    if (line.starts_with("size ")) {
      auto [end, error] = std::from_chars(line.data() + 5, line.data() + line.size(), pointer.size_bytes);
      has_size = error == std::errc() && end == line.data() + line.size() && pointer.size_bytes <= INT64_MAX;
    }
  }
  if (!is_sha256(pointer.oid) || !has_size) return std::nullopt;
  return pointer;
}

std::string pointer_text(const LfsPointer& pointer) {
  return fmt::format(
      "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n", pointer.oid, pointer.size_bytes);
}

}  // namespace depickle::server::git
