// Helpers of the tests of the Hub client: settings with short waits, and a Hub with one repository.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>

#include "depickle/base/text.h"
#include "depickle/hub/client.h"
#include "depickle/hub/content_hash.h"
#include "tests/error_of.h"
#include "tests/hub/scripted_hub.h"
#include "tests/temporary_folder.h"

namespace depickle::hub {

inline const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";
inline const std::string kOther = "89abcdef0123456789abcdef0123456789abcdef";
inline const RepoId kRepo = RepoId::parse("me/demo");

inline Settings quick(const ScriptedHub& hub, const std::filesystem::path& cache = {}) {
  Settings settings;
  settings.endpoint = hub.url();
  settings.cache = cache;
  settings.retry_policy.first_wait = std::chrono::milliseconds(1);
  settings.retry_policy.max_wait = std::chrono::milliseconds(2);
  settings.connect_timeout = std::chrono::milliseconds(2000);
  settings.response_timeout = settings.stall_timeout = std::chrono::milliseconds(5000);
  return settings;
}

inline std::string hash_of(std::string_view content, size_t digits) {
  ContentHash hash(std::string(digits, '0'), content.size());
  hash.update(bytes(content));
  return hash.hex();
}

/// An LFS file (identified by its SHA-256).
inline RepoFile large(std::string path, std::string_view content) {
  return {std::move(path), content.size(), {}, hash_of(content, 64)};
}
/// A git file (identified by the SHA-1 of its blob).
inline RepoFile small(std::string path, std::string_view content) {
  return {std::move(path), content.size(), hash_of(content, 40), {}};
}

/// The reply of a correct Hub to HEAD and GET of a file, with ranges.
inline Reply serve_file(const Seen& seen, std::string_view content, std::string_view etag, bool has_ranges = true) {
  std::string headers = fmt::format("X-Repo-Commit: {}\r\nETag: \"{}\"\r\nAccept-Ranges: bytes\r\n", kCommit, etag);
  if (seen.method == "HEAD") return head_reply(200, content.size(), headers);
  std::string range = seen.header("range");
  if (range.empty() || !has_ranges) return reply(200, content, headers);
  range = range.substr(6);
  const size_t dash = range.find('-');
  size_t begin = dash == 0 ? 0 : std::stoul(range.substr(0, dash)), end = content.size();
  if (dash == 0)
    begin = content.size() - std::min<size_t>(content.size(), std::stoul(range.substr(1)));
  else if (dash + 1 < range.size())
    end = std::min<size_t>(end, std::stoul(range.substr(dash + 1)) + 1);
  if (begin >= content.size()) return reply(416, "", fmt::format("Content-Range: bytes */{}\r\n", content.size()));
  headers += fmt::format("Content-Range: bytes {}-{}/{}\r\n", begin, end - 1, content.size());
  return reply(206, content.substr(begin, end - begin), headers);
}

inline Reply refusal_reply(int status, std::string_view error_code, std::string_view message = "no") {
  return reply(status, fmt::format("{{\"error\":\"{}\"}}", message),
      fmt::format("Content-Type: application/json\r\nX-Error-Code: {}\r\nX-Repo-Commit: {}\r\n", error_code, kCommit));
}

/// Pseudorandom bytes.
inline std::string some_bytes(size_t size) {
  std::string out(size, '\0');
  uint64_t state = 1;
  for (size_t at = 0; at < size; at += sizeof state) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::memcpy(out.data() + at, &state, std::min(sizeof state, size - at));
  }
  return out;
}

}  // namespace depickle::hub
