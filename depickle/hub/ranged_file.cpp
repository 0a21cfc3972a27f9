#include "depickle/hub/ranged_file.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/backoff.h"
#include "depickle/hub/content_hash.h"

namespace depickle::hub {
namespace {

constexpr uint64_t kProgressBytes = 1 << 20;

std::optional<uint64_t> take_number(std::string_view& text) {
  uint64_t number = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc()) return {};
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::optional<uint64_t> whole_number(std::string_view text) {
  const std::optional<uint64_t> number = take_number(text);
  return text.empty() ? number : std::nullopt;
}

std::string unquoted_etag(std::string_view etag) {
  take(etag, "W/");
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

}  // namespace

FileHeaders parse_file_headers(const Response& response) {
  const std::string_view linked_etag = response.header("x-linked-etag");
  FileHeaders headers{std::string(response.header("x-repo-commit")),
      unquoted_etag(linked_etag.empty() ? response.header("etag") : linked_etag),
      whole_number(response.header("x-linked-size"))};
  const bool is_redirect = response.status >= 300 && response.status < 400;
  if (!headers.size_bytes && !is_redirect && response.status != 206)
    headers.size_bytes = whole_number(response.header("content-length"));
  return headers;
}

FileMetadata file_metadata_of(const FileHeaders& headers, std::string_view path, const std::string& about) {
  if (!is_commit_id(headers.commit)) bad_answer(about, "the commit of the file is missing");
  if (!is_content_hash(headers.etag)) bad_answer(about, "the hash of the file is missing");
  if (!headers.size_bytes) bad_answer(about, "the size of the file is missing");
  FileMetadata metadata{headers.commit, {std::string(path), *headers.size_bytes, {}, {}}};
  (headers.etag.size() == 64 ? metadata.file.sha256 : metadata.file.blob_id) = headers.etag;
  return metadata;
}

std::string resolve_url(const Client& client, const RepoId& repo, std::string_view revision, std::string_view path) {
  return client.page(repo, fmt::format("resolve/{}/{}", escape_segment(revision), escape_path(path)));
}

std::optional<ContentRange> parse_content_range(std::string_view text) {
  if (!take(text, "bytes ")) return {};
  const auto begin = take_number(text);
  if (!begin || !take(text, "-")) return {};
  const auto last = take_number(text);
  if (!last || !take(text, "/")) return {};
  const auto size_bytes = take_number(text);
  if (!size_bytes || !text.empty() || *last < *begin || *last >= *size_bytes) return {};
  return ContentRange{*begin, *last + 1, *size_bytes};
}

std::string RangedFile::current_url() const {
  std::scoped_lock lock(mutex_);
  return store_url_.empty() ? url_ : store_url_;
}

// The URL of a store is signed and valid for minutes: if it is refused, the Hub is asked for a new one.
bool RangedFile::forget_store(const Failure& failure) {
  std::scoped_lock lock(mutex_);
  const bool is_refusal = failure.status() >= 400 && failure.status() < 500 && !is_transient(failure.status());
  if (store_url_.empty() || !is_refusal) return false;
  store_url_.clear();
  return true;
}

// Returns the number of body bytes before `at`. Throws if the response is not about the requested bytes of the file.
uint64_t RangedFile::check_head(const Response& head, uint64_t at, uint64_t end, IfWhole if_whole) {
  auto refuse = [&](const std::string& what) {
    throw Error(Code::integrity, "", what, Where::in(about_), "try again");
  };
  auto check_size = [&](uint64_t size_bytes) {
    if (size_bytes == size_bytes_) return;
    refuse(fmt::format(
        "the file size differs from the size that the Hub reported (have {}, need {})", size_bytes, size_bytes_));
  };
  if (const std::string etag = unquoted_etag(head.header("etag")); !etag.empty()) {
    std::scoped_lock lock(mutex_);
    std::string& first = client_.http().is_hub(head.url) ? hub_etag_ : store_etag_;
    if (first.empty()) first = etag;
    if (first != etag) refuse("the file changed on the Hub while it was read");
  }
  if (head.status == 206) {
    const auto range = parse_content_range(head.header("content-range"));
    if (!range || range->begin != at || range->end > end)
      refuse(fmt::format("the Hub sends other bytes than requested (have {}, need {} to {})",
          quoted(head.header("content-range"), 80), at, end));
    check_size(range->size_bytes);
    return 0;
  }
  if (const auto length = whole_number(head.header("content-length"))) check_size(*length);
  if (at > 0 && if_whole == IfWhole::refuse)
    throw RangesUnsupported(
        Code::unsupported, "", "the Hub does not support ranges of this file", Where::in(about_), "download it first");
  return at;
}

void RangedFile::read_once(uint64_t& at, uint64_t end, IfWhole if_whole, const Sink& sink) {
  Request request{.url = current_url(), .about = about_};
  if (at > 0 || end < size_bytes_) request.headers.push_back(fmt::format("Range: bytes={}-{}", at, end - 1));
  uint64_t to_skip = 0;
  bool is_whole_file = false;
  struct Finished {};  // thrown to stop a response that goes on after `end`
  auto on_head = [&](const Response& head) {
    to_skip = check_head(head, at, end, if_whole);
    is_whole_file = head.status == 200;
  };
  auto on_body = [&](Bytes bytes) {
    transferred_bytes_ += bytes.size();
    const uint64_t skipped = std::min<uint64_t>(to_skip, bytes.size());
    to_skip -= skipped;
    bytes = bytes.subspan(skipped);
    if (bytes.size() > end - at) {
      if (!is_whole_file || end == size_bytes_)
        throw Error(Code::integrity, "",
            fmt::format("the file is longer than the Hub reported ({} bytes)", size_bytes_), Where::in(about_),
            "try again");
      bytes = bytes.first(end - at);
    }
    if (!bytes.empty()) sink(at, bytes);
    at += bytes.size();
    if (at == end && is_whole_file && end < size_bytes_) throw Finished();
  };
  ++requests_;
  Response response;
  try {
    response = client_.http().stream(request, on_head, on_body);
  } catch (const Finished&) {
    return;
  }
  if (response.url != request.url && !client_.http().is_hub(response.url)) {
    std::scoped_lock lock(mutex_);
    store_url_ = response.url;
  }
  if (at < end)
    throw ConnectionError(
        Error(Code::network, "", fmt::format("the response is too short (have {} bytes, need {})", at, end),
            Where::in(about_), "try again later"),
        false);
}

void RangedFile::read(uint64_t begin, uint64_t end, IfWhole if_whole, const Sink& sink) {
  Backoff backoff(client_.settings());
  uint64_t at = begin, counted = begin;
  while (at < end) {
    try {
      read_once(at, end, if_whole, sink);
    } catch (const Failure& failure) {
      if (!forget_store(failure) && !backoff.wait_after(failure)) throw;
    } catch (const ConnectionError& error) {
      if (at - counted >= kProgressBytes) {
        counted = at;
        backoff.reset();
      }
      if (!backoff.wait_after(error)) throw error.in(about_);
    }
  }
}

}  // namespace depickle::hub
