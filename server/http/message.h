// HTTP requests and responses.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "depickle/base/bytes.h"
#include "depickle/base/error.h"
#include "depickle/os/file_descriptor.h"

namespace depickle::server::http {

/// Header fields in order. Names are compared without case. A lookup returns the first field of a name.
class Fields {
 public:
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  /// Returns the value, or nullptr.
  const std::string* find(std::string_view name) const;
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct Request {
  std::string method;  ///< as sent: "GET"
  std::string target;  ///< as sent, encoded: "/me/demo/resolve/refs%2Fpr%2F1/a.bin?download=true"
  Fields fields;
  std::optional<uint64_t> body_bytes;  ///< Content-Length; nullopt without a body or with a chunked one
  std::string body;                    ///< the complete body, if Bodies::buffered() receives it
  std::string peer;                    ///< address of the client, behind trusted proxies too: "127.0.0.1"
  /// The captures of the route's pattern, decoded: {"ns", "me"}, …
  std::vector<std::pair<std::string, std::string>> captures;
  /// Returns whether the client has closed the connection, or the sending half of it. Empty outside of a server.
  std::function<bool()> is_abandoned;

  /// Throws Abort if the client has closed the connection. Slow work calls it now and then.
  void check_client() const;
  /// Returns the target up to '?', encoded.
  std::string_view raw_path() const;
  std::string_view raw_query() const;
  /// Returns a capture, or "" if the pattern has none of this name.
  const std::string& captured(std::string_view name) const;
  /// Returns the first query parameter of this name, decoded.
  std::optional<std::string> query(std::string_view name) const;
  /// Returns the value of a header field, or "".
  const std::string& field(std::string_view name) const;
};

/// A file that is open for reading.
class OpenFile {
 public:
  /// Throws Error{not_found, io}.
  static std::shared_ptr<const OpenFile> open(const std::string& path);
  /// Opens a regular file below `folder`, whose content is not trusted: follows no link below it. The same errors.
  static std::shared_ptr<const OpenFile> open_beneath(const std::string& folder, const std::string& path);
  int descriptor() const noexcept { return file_.get(); }
  uint64_t size_bytes() const noexcept { return size_bytes_; }

 private:
  OpenFile(os::FileDescriptor file, uint64_t size_bytes) : file_(std::move(file)), size_bytes_(size_bytes) {}
  os::FileDescriptor file_;
  uint64_t size_bytes_;
};

/// Bytes [offset, offset + length) of a file. Sent with sendfile(2).
struct FileRange {
  std::shared_ptr<const OpenFile> file;
  uint64_t offset = 0;
  uint64_t length = 0;
};

/// A response body of unknown length. Called on a worker: fills the front of the block and returns the number of bytes,
/// 0 at the end. If it throws, the connection is closed without the last chunk, so the client sees an incomplete body.
using Pull = std::function<size_t(MutableBytes)>;

/// A response body of events that arrive over time: Server-Sent Events. It uses no thread while it has nothing to send.
/// The server sends a comment line after each ServerLimits::heartbeat without an event and closes the connection of a
/// client that does not read, as with any body. The server destroys the stream when it ends or the client closes the
/// connection.
class EventStream {
 public:
  virtual ~EventStream() = default;
  /// Called once, before the first take(). Call `wake` whenever take() may have new data. `wake` is cheap and may be
  /// called from any thread, but not after the destructor has returned.
  virtual void subscribe(std::function<void()> wake) = 0;
  /// Appends the data that is new since the last call. Returns false if nothing will follow. The stream must bound the
  /// data that it stores for a slow client. Called on the thread of run(): must not block.
  virtual bool take(std::string& out) = 0;
};

using Body = std::variant<std::string, FileRange, Pull, std::shared_ptr<EventStream>>;

struct Response {
  int status = 200;
  Fields fields;  ///< without Content-Length, Transfer-Encoding, Connection and Date, which the server adds
  Body body;

  Response& with(std::string name, std::string value) {
    fields.add(std::move(name), std::move(value));
    return *this;
  }
};

/// Returns a response whose body is a string.
Response respond(int status, std::string body, std::string content_type = "application/json; charset=utf-8");

/// Thrown by a handler to send another response at once.
class Abort : public Error {
 public:
  Abort(Response response, std::string what);
  const Response& response() const noexcept { return response_; }

 private:
  Response response_;
};

/// Takes the body of one request in blocks. Called on workers, one call at a time. Destroyed without finish() if the
/// client closes the connection.
class Receiver {
 public:
  virtual ~Receiver() = default;
  virtual void take(Bytes block) = 0;
  /// Called after the last block. Returns the response.
  virtual Response finish() = 0;
};

/// Applies the request's Range to a response whose body is a string or a file: status 200, 206 or 416. If-Range is
/// compared with the response's ETag. A request for several ranges gets the complete body, as RFC 9110 allows.
Response ranged(const Request& request, Response response);

}  // namespace depickle::server::http
