#include "depickle/hub/address.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/hub/url.h"

namespace depickle::hub {
namespace {

constexpr std::string_view kScheme = "hf://";
constexpr size_t kMaxIdBytes = 96, kMaxRevisionBytes = 255, kMaxPathBytes = 4096, kMaxNameBytes = 255;

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('/', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// Removes the first `count` slash-separated parts and the slash after them from `text`, and returns them.
std::string_view take_parts(std::string_view& text, int count) {
  size_t end = 0;
  for (int i = 0; i < count && end != text.npos; ++i) end = text.find('/', i == 0 ? 0 : end + 1);
  const std::string_view taken = text.substr(0, end);
  text = end == text.npos ? std::string_view() : text.substr(end + 1);
  return taken;
}

std::optional<RepoType> type_of(std::string_view plural) {
  if (plural == "models") return RepoType::model;
  if (plural == "datasets") return RepoType::dataset;
  if (plural == "spaces") return RepoType::space;
  return {};
}

RepoType take_type(std::string_view& text) {
  std::string_view rest = text;
  const std::optional<RepoType> type = type_of(take_parts(rest, 1));
  if (type) text = rest;
  return type.value_or(RepoType::model);
}

// Removes the revision at the start of `text`: refs/pr/N, refs/convert/x, or one percent-encoded segment.
std::string take_revision(std::string_view& text) {
  const bool is_long = text.starts_with("refs/pr/") || text.starts_with("refs/convert/");
  std::string revision = unescape(take_parts(text, is_long ? 3 : 1));
  check_revision(revision);
  return revision;
}

std::string path_of(std::string_view text) {
  while (text.ends_with('/')) text.remove_suffix(1);
  std::string path = unescape(text);
  if (!path.empty()) check_repo_path(path);
  return path;
}

[[noreturn]] void not_an_address(std::string_view text, std::string_view why) {
  throw Error(Code::malformed, "", fmt::format("{}: {}", quoted(text), why), {},
      "write org/name, org/name@revision, hf://org/name or the URL of the repository's page");
}

// `org/name[@rev][/path]`.
Address parse_hf(std::string_view text) {
  const RepoType type = take_type(text);
  const size_t at = text.find('@'), first = text.find('/');
  const size_t second = first == text.npos ? text.npos : text.find('/', first + 1);
  if (at != text.npos && at < second) {
    RepoId repo = RepoId::parse(text.substr(0, at), type);
    text.remove_prefix(at + 1);
    std::string revision = take_revision(text);
    return {std::move(repo), std::move(revision), path_of(text), {}};
  }
  RepoId repo = RepoId::parse(take_parts(text, 2), type);
  return {std::move(repo), {}, path_of(text), {}};
}

// Parses the part of a page's URL below the endpoint.
Address parse_page(std::string_view whole, std::string_view text) {
  const RepoType type = take_type(text);
  const size_t first = text.find('/');
  if (first == text.npos) return {RepoId::parse(text, type), {}, {}, {}};
  Address address{RepoId::parse(take_parts(text, 2), type), {}, {}, {}};
  const std::string_view page = take_parts(text, 1);
  if (page.empty() || text.empty()) {
    if (page.empty() || page == "tree" || page == "discussions") return address;
    not_an_address(whole, "the URL contains no revision");
  }
  if (page == "discussions") {
    const std::string_view number = take_parts(text, 1);
    uint64_t value = 0;
    auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (failed != std::errc() || end != number.data() + number.size() || value == 0)
      not_an_address(whole, "the discussion number is missing");
    address.discussion = value;
  } else if (page == "tree" || page == "blob" || page == "resolve" || page == "raw" || page == "commits") {
    address.revision = take_revision(text);
    address.path = path_of(text);
  } else if (page == "commit") {
    address.revision = take_revision(text);
  } else {
    not_an_address(whole, "the URL contains no revision and no file");
  }
  return address;
}

std::string escape(std::string_view text, std::string_view unescaped) {
  std::string out;
  for (char c : text) {
    if (is_alphanumeric(c) || unescaped.find(c) != unescaped.npos)
      out += c;
    else
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace

RepoId RepoId::parse(std::string_view id, RepoType type) {
  auto refuse = [&](std::string_view why) {
    throw Error(Code::malformed, "", fmt::format("{} is not a repository id: {}", quoted(id), why), {},
        "a repository id is org/name, with letters, digits, \"-\", \"_\" and \".\"");
  };
  const std::vector<std::string_view> parts = split(id);
  if (id.empty() || parts.size() > 2) refuse("it must be \"name\" or \"org/name\"");
  if (id.size() > kMaxIdBytes)
    refuse(fmt::format("it is too long (have {} characters, at most {})", id.size(), kMaxIdBytes));
  for (std::string_view part : parts) {
    if (part.empty()) refuse("a part is empty");
    if (!std::ranges::all_of(part, [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; }))
      refuse("it contains other characters than letters, digits, \"-\", \"_\" and \".\"");
    if (part.front() == '-' || part.front() == '.' || part.back() == '-' || part.back() == '.')
      refuse("a part begins or ends with \"-\" or \".\"");
  }
  if (id.find("--") != id.npos || id.find("..") != id.npos) refuse("it contains \"--\" or \"..\"");
  if (id.ends_with(".git")) refuse("it ends in \".git\"");
  return RepoId(std::string(id), type);
}

std::string_view RepoId::plural() const noexcept {
  return type_ == RepoType::model ? "models" : type_ == RepoType::dataset ? "datasets" : "spaces";
}

std::string RepoId::page_path() const {
  return type_ == RepoType::model ? "/" + name_ : fmt::format("/{}/{}", plural(), name_);
}

std::string RepoId::folder_name() const {
  std::string folder = fmt::format("{}--{}", plural(), name_);
  if (size_t slash = folder.find('/'); slash != folder.npos) folder.replace(slash, 1, "--");
  return folder;
}

std::optional<Address> find_address(std::string_view text, std::string_view endpoint) {
  if (text.starts_with(kScheme)) return parse_hf(text.substr(kScheme.size()));
  if (!text.starts_with("http://") && !text.starts_with("https://")) return {};
  const std::string page = without_query(text);
  if (!page.starts_with(endpoint) || (page.size() > endpoint.size() && page[endpoint.size()] != '/'))
    throw Error(Code::malformed, "", fmt::format("{} is not on the Hub {}", quoted(text), endpoint), {},
        "set HF_ENDPOINT to the URL of its Hub");
  std::string_view below = std::string_view(page).substr(std::min(page.size(), endpoint.size() + 1));
  while (below.ends_with('/')) below.remove_suffix(1);
  return parse_page(text, below);
}

Address parse_address(std::string_view text, std::string_view endpoint) {
  if (std::optional<Address> address = find_address(text, endpoint)) return *address;
  const size_t at = text.find('@');
  Address address{RepoId::parse(text.substr(0, at)), {}, {}, {}};
  if (at != text.npos) {
    address.revision = unescape(text.substr(at + 1));
    check_revision(address.revision);
  }
  return address;
}

std::string hf_address(const RepoId& repo, std::string_view revision, std::string_view path) {
  std::string out(kScheme);
  if (repo.type() != RepoType::model) out += fmt::format("{}/", repo.plural());
  out += repo.name();
  if (!revision.empty()) {
    const bool is_plain = revision.find('/') == revision.npos || revision.starts_with("refs/pr/") ||
                          revision.starts_with("refs/convert/");
    out += "@" + (is_plain ? escape_path(revision) : escape_segment(revision));
  }
  if (!path.empty()) out += fmt::format("/{}", path);
  return out;
}

std::string escape_segment(std::string_view text) { return escape(text, "-_.~"); }
std::string escape_path(std::string_view path) { return escape(path, "-_.~/"); }

void check_repo_path(std::string_view path) {
  auto refuse = [&](std::string_view why) {
    throw Error(
        Code::unsafe, "", fmt::format("the file name {} {}", quoted(path, 80), why), {}, "do not use this repository");
  };
  if (path.empty()) refuse("is empty");
  if (path.size() > kMaxPathBytes) refuse(fmt::format("has {} bytes (at most {})", path.size(), kMaxPathBytes));
  if (path.front() == '/' || (path.size() > 1 && path[1] == ':')) refuse("is absolute");
  if (path.find('\\') != path.npos) refuse("contains a backslash");
  if (has_control(path)) refuse("contains control characters");
  if (!is_utf8(path)) refuse("is not UTF-8");
  for (std::string_view part : split(path)) {
    if (part.empty() || part == "." || part == "..") refuse("has an empty, \".\" or \"..\" component");
    if (part == ".git" || part == ".cache") refuse("is in a folder of git or huggingface_hub");
    if (part.size() > kMaxNameBytes)
      refuse(fmt::format("has a component of {} bytes (at most {})", part.size(), kMaxNameBytes));
  }
}

bool is_commit_id(std::string_view revision) noexcept {
  return revision.size() == 40 &&
         std::ranges::all_of(revision, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

void check_revision(std::string_view revision) {
  const bool is_right = !revision.empty() && revision.size() <= kMaxRevisionBytes && !has_control(revision) &&
                        is_utf8(revision) && revision.find("..") == revision.npos &&
                        revision.find('\\') == revision.npos && revision.find("//") == revision.npos &&
                        !revision.starts_with('/') && !revision.ends_with('/') && !revision.starts_with('.') &&
                        revision.find("/.") == revision.npos;
  if (!is_right)
    throw Error(Code::malformed, "", fmt::format("{} is not a revision", quoted(revision)), {},
        "a revision is a branch, a tag, a commit id or refs/pr/N");
}

std::optional<uint64_t> pull_request_number(std::string_view revision) noexcept {
  constexpr std::string_view kPrefix = "refs/pr/";
  if (!revision.starts_with(kPrefix)) return {};
  uint64_t number = 0;
  const char* end = revision.data() + revision.size();
  auto [stop, failed] = std::from_chars(revision.data() + kPrefix.size(), end, number);
  if (failed != std::errc() || stop != end || number == 0) return {};
  return number;
}

std::string pull_request_revision(uint64_t number) { return fmt::format("refs/pr/{}", number); }

}  // namespace depickle::hub
