// Reads ranges of one file on a Hub.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>

#include "depickle/hub/client.h"
#include "depickle/hub/download.h"
#include "depickle/hub/http.h"

namespace depickle::hub {

/// What a Hub reports about a file in the headers of a response.
struct FileHeaders {
  std::string commit;  ///< may be empty
  std::string etag;    ///< without quotes and W/
  std::optional<uint64_t> size_bytes;
};
FileHeaders parse_file_headers(const Response& response);
/// Throws Error{malformed} if commit, hash or size are missing.
FileMetadata file_metadata_of(const FileHeaders& headers, std::string_view path, const std::string& about);

/// Returns "ENDPOINT/org/name/resolve/REV/PATH".
std::string resolve_url(const Client& client, const RepoId& repo, std::string_view revision, std::string_view path);

/// The parsed header `Content-Range: bytes 0-9/100`.
struct ContentRange {
  uint64_t begin, end, size_bytes;  ///< [begin, end)
};
std::optional<ContentRange> parse_content_range(std::string_view text);

/// The server ignores the Range header.
class RangesUnsupported : public Error {
 public:
  using Error::Error;
};

/// Safe to use from several threads. If the Hub redirects to a store, further requests go directly to the store until
/// it refuses.
class RangedFile {
 public:
  /// What to do if a server sends the whole file instead of the range: skip the bytes before it, or throw.
  enum class IfWhole { skip, refuse };
  using Sink = std::function<void(uint64_t offset, Bytes)>;

  RangedFile(const Client& client, std::string url, std::string about, uint64_t size_bytes)
      : client_(client),
        url_(std::move(url)),
        about_(std::move(about)),
        size_bytes_(size_bytes) {}

  /// Passes all bytes of [begin, end) to `sink`, in order, each once. Resumes a lost connection where it ended. Throws
  /// Error{integrity} if the size differs from the one that the Hub reported, or the content changes meanwhile;
  /// RangesUnsupported.
  void read(uint64_t begin, uint64_t end, IfWhole if_whole, const Sink& sink);

  uint64_t requests() const noexcept { return requests_; }
  uint64_t transferred_bytes() const noexcept { return transferred_bytes_; }
  void add_traffic(uint64_t requests, uint64_t bytes) noexcept {
    requests_ += requests;
    transferred_bytes_ += bytes;
  }

 private:
  void read_once(uint64_t& at, uint64_t end, IfWhole if_whole, const Sink& sink);
  uint64_t check_head(const Response& head, uint64_t at, uint64_t end, IfWhole if_whole);
  std::string current_url() const;
  bool forget_store(const Failure& failure);

  const Client client_;
  const std::string url_, about_;
  const uint64_t size_bytes_;
  mutable std::mutex mutex_;
  std::string store_url_;
  std::string hub_etag_, store_etag_;  ///< of the first response of each
  std::atomic<uint64_t> requests_ = 0, transferred_bytes_ = 0;
};

}  // namespace depickle::hub
