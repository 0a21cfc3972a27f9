#include "depickle/hub/ranged_file.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/backoff.h"

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

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

std::optional<uint64_t> number_in(std::string_view text) {
  const std::optional<uint64_t> number = take_number(text);
  return text.empty() ? number : std::nullopt;
}

std::string plain_etag(std::string_view etag) {
  take(etag, "W/");
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return std::string(etag);
}

}  // namespace

StatedFile stated_file(const Response& answer) {
  const std::string_view linked = answer.header("x-linked-etag"), linked_size = answer.header("x-linked-size");
  StatedFile stated{std::string(answer.header("x-repo-commit")),
      plain_etag(linked.empty() ? answer.header("etag") : linked), number_in(linked_size)};
  const bool is_redirect = answer.status >= 300 && answer.status < 400;
  if (!stated.size_bytes && !is_redirect && answer.status != 206)
    stated.size_bytes = number_in(answer.header("content-length"));
  return stated;
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

std::string RangedFile::address() const {
  std::scoped_lock lock(mutex_);
  return store_url_.empty() ? url_ : store_url_;
}

// A store's address is signed for some minutes: when it refuses, the Hub is asked for another.
bool RangedFile::forget_store(const Failure& failure) {
  std::scoped_lock lock(mutex_);
  const bool is_refusal = failure.status() >= 400 && failure.status() < 500 && !is_transient(failure.status());
  if (store_url_.empty() || !is_refusal) return false;
  store_url_.clear();
  return true;
}

// How many bytes come before `at`. Throws where the answer is not about the file and the bytes that were asked for.
uint64_t RangedFile::check_head(const Response& head, uint64_t at, uint64_t end, Whole whole) {
  auto refuse = [&](const std::string& what) {
    throw Error(Code::integrity, "", what, Where::in(about_), "try again");
  };
  if (const std::string etag = plain_etag(head.header("etag")); !etag.empty()) {
    std::scoped_lock lock(mutex_);
    std::string& first = client_.http().is_hub(head.url) ? hub_etag_ : store_etag_;
    if (first.empty()) first = etag;
    if (first != etag) refuse("the file changed on the Hub while it was read");
  }
  if (head.status == 206) {
    const auto range = parse_content_range(head.header("content-range"));
    if (!range || range->begin != at || range->end > end)
      refuse(fmt::format("the Hub sends other bytes than were asked for (have {}, need {} to {})",
          quoted(head.header("content-range"), 80), at, end));
    if (range->size_bytes != size_bytes_)
      refuse(fmt::format(
          "the file has another size than the Hub said (have {}, need {})", range->size_bytes, size_bytes_));
    return 0;
  }
  const auto length = number_in(head.header("content-length"));
  if (length && *length != size_bytes_)
    refuse(fmt::format("the file has another size than the Hub said (have {}, need {})", *length, size_bytes_));
  if (at > 0 && whole == Whole::refuse)
    throw NoRanges(
        Code::unsupported, "", "the Hub sends this file only as a whole", Where::in(about_), "download it first");
  return at;
}

void RangedFile::read_once(uint64_t& at, uint64_t end, Whole whole, const Sink& sink) {
  Request request{.url = address(), .about = about_};
  if (at > 0 || end < size_bytes_) request.headers.push_back(fmt::format("Range: bytes={}-{}", at, end - 1));
  uint64_t to_skip = 0;
  bool is_enough = false;  // the rest of a whole file that was sent for a range
  struct Enough {};
  ++requests_;
  Response answer;
  try {
    answer = client_.http().stream(
        request,
        [&](const Response& head) {
          to_skip = check_head(head, at, end, whole);
          is_enough = head.status == 200;
        },
        [&](Bytes bytes) {
          transferred_bytes_ += bytes.size();
          const uint64_t skipped = std::min<uint64_t>(to_skip, bytes.size());
          to_skip -= skipped;
          bytes = bytes.subspan(skipped);
          if (bytes.size() > end - at) {
            if (!is_enough || end == size_bytes_)
              throw Error(Code::integrity, "",
                  fmt::format("the file is longer than the Hub said ({} bytes)", size_bytes_), Where::in(about_),
                  "try again");
            bytes = bytes.first(end - at);
          }
          if (!bytes.empty()) sink(at, bytes);
          at += bytes.size();
          if (at == end && is_enough && end < size_bytes_) throw Enough();
        });
  } catch (const Enough&) {
    return;
  }
  if (answer.url != request.url && !client_.http().is_hub(answer.url)) {
    std::scoped_lock lock(mutex_);
    store_url_ = answer.url;
  }
  if (at < end)
    throw ConnectionError(
        Error(Code::network, "", fmt::format("the connection ended too early (have {} bytes, need {})", at, end),
            Where::in(about_), "try again later"),
        false);
}

void RangedFile::read(uint64_t begin, uint64_t end, Whole whole, const Sink& sink) {
  Backoff backoff(client_.settings());
  uint64_t at = begin, counted = begin;
  while (at < end) {
    try {
      read_once(at, end, whole, sink);
    } catch (const Failure& failure) {
      if (!forget_store(failure) && !backoff.again(failure)) throw;
    } catch (const ConnectionError& lost) {
      if (at - counted >= kProgressBytes) {
        counted = at;
        backoff.reset();
      }
      if (!backoff.again(lost)) throw lost.in(about_);
    }
  }
}

}  // namespace depickle::hub
