// Texts in git repositories that the server reads: git-lfs pointers, .gitattributes and .gitignore.
#include <string>

#include "fuzz/fuzz.h"
#include "server/hub/git/attributes.h"
#include "server/hub/git/digits.h"
#include "server/hub/git/ignore.h"
#include "server/hub/git/pointer.h"

namespace depickle::fuzz {
namespace {

using namespace server::git;

void check_pointer(std::string_view blob) {
  const std::optional<LfsPointer> pointer = parse_pointer(blob);
  if (!pointer) return;
  require(server::is_sha256(pointer->oid), "the oid of a pointer is a SHA-256");
  const std::optional<LfsPointer> again = parse_pointer(pointer_text(*pointer));
  require(again && again->oid == pointer->oid && again->size_bytes == pointer->size_bytes,
      "a pointer that is written again is the same");
}

bool is_lfs(const std::string& rules, std::string_view path) {
  Attributes attributes([&](const std::string& name) -> std::optional<std::string> {
    return name == ".gitattributes" ? std::optional(rules) : std::nullopt;
  });
  return attributes.is_lfs(path);
}

// Patterns without wildcards are looked up in a map, which must not change the result.
void check_lookup(const std::string& rules, std::string_view path) {
  std::optional<bool> expected;
  MatchBudget budget;
  for (std::string_view rest = rules; !rest.empty();) {
    const std::string line(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const size_t begin = line.find_first_not_of(" \t\r"), end = line.find_first_of(" \t\r", begin);
    if (begin == line.npos || end == line.npos) continue;
    const std::string pattern = line.substr(begin, end - begin);
    // A wildcard that matches the same text.
    const std::string same = "[" + pattern.substr(0, 1) + "]" + pattern.substr(1);
    const bool is_plain = pattern.front() > ' ' && std::string_view("\\/!^#]*?[").find(pattern.front()) == pattern.npos;
    const std::optional<bool> one = AttributeFile((is_plain ? same : pattern) + line.substr(end)).is_lfs(path, budget);
    if (one) expected = one;
  }
  require(AttributeFile(rules).is_lfs(path, budget) == expected, "the last line that matches decides");
}

// The first line is a path, the rest are rules.
void check_attributes(std::string_view input) {
  const size_t end = std::min(input.find('\n'), input.size());
  const std::string_view path = input.substr(0, end);
  std::string rules(input.substr(std::min(end + 1, input.size())));
  is_lfs(rules, path);
  server::git::Ignore(rules).matches(path);
  check_lookup(rules, path);
  const bool is_plain = !path.empty() && path.find_first_of(std::string_view("\0/\r", 3)) == path.npos;
  if (!is_plain) return;
  if (!rules.empty() && rules.back() != '\n') rules += '\n';
  require(is_lfs(rules + attribute_line(path), path), "the line for a path makes it an LFS file");
}

void run(Bytes bytes) {
  check_pointer(text(bytes));
  check_attributes(text(bytes));
}

}  // namespace
}  // namespace depickle::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  depickle::fuzz::run(depickle::fuzz::input(data, size));
  return 0;
}
