// One file on a Hub, read from any byte on.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>

#include "depickle/hub/client.h"
#include "depickle/hub/http.h"

namespace depickle::hub {

/// What a Hub says of a file in the head of an answer.
struct StatedFile {
  std::string commit;  ///< empty where it is not said
  std::string etag;    ///< without quotes and W/
  std::optional<uint64_t> size_bytes;
};
StatedFile stated_file(const Response& answer);

/// "ENDPOINT/org/name/resolve/REV/PATH".
std::string resolve_url(const Client& client, const RepoId& repo, std::string_view revision, std::string_view path);

/// `Content-Range: bytes 0-9/100`.
struct ContentRange {
  uint64_t begin, end, size_bytes;  ///< [begin, end)
};
std::optional<ContentRange> parse_content_range(std::string_view text);

/// The server took no notice of the range.
class NoRanges : public Error {
 public:
  using Error::Error;
};

/// Safe to use from several threads. Where the Hub leads to a store, the store is asked directly until it refuses.
class RangedFile {
 public:
  enum class Whole { skip, refuse };  ///< what to do with the bytes before a range that a server sends unasked
  using Sink = std::function<void(uint64_t offset, Bytes)>;

  RangedFile(const Client& client, std::string url, std::string about, uint64_t size_bytes)
      : client_(client),
        url_(std::move(url)),
        about_(std::move(about)),
        size_bytes_(size_bytes) {}

  /// Gives all bytes of [begin, end) to `sink`, in order, each once: a lost connection goes on where it broke.
  /// Throws Error{integrity} where the server has other sizes than the Hub said, or the content changes meanwhile.
  void read(uint64_t begin, uint64_t end, Whole whole, const Sink& sink);

  uint64_t requests() const noexcept { return requests_; }
  uint64_t transferred_bytes() const noexcept { return transferred_bytes_; }
  void count(uint64_t requests, uint64_t bytes) noexcept {
    requests_ += requests;
    transferred_bytes_ += bytes;
  }

 private:
  void read_once(uint64_t& at, uint64_t end, Whole whole, const Sink& sink);
  uint64_t check_head(const Response& head, uint64_t at, uint64_t end, Whole whole);
  std::string address() const;
  bool forget_store(const Failure& failure);

  const Client client_;
  const std::string url_, about_;
  const uint64_t size_bytes_;
  mutable std::mutex mutex_;
  std::string store_url_;
  std::string hub_etag_, store_etag_;  ///< of the first answer of either
  std::atomic<uint64_t> requests_ = 0, transferred_bytes_ = 0;
};

}  // namespace depickle::hub
