// What a handler is given and what it gives back: one HTTP request, one HTTP response.
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

namespace depickle::server::http {

/// Header fields in order. Names are compared without case; a repeated name is found at its first place.
class Fields {
 public:
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  /// The value, or null.
  const std::string* find(std::string_view name) const;
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct Request {
  std::string method;  ///< in upper case, as sent: "GET"
  std::string target;  ///< raw, as sent: "/me/demo/resolve/refs%2Fpr%2F1/a.bin?download=true"
  Fields fields;
  std::optional<uint64_t> body_bytes;  ///< what Content-Length says; empty without a body or where it comes in chunks
  std::string body;                    ///< the whole body, for a plain handler; empty for one that streams
  std::string peer;                    ///< who is at the other end of the connection: "127.0.0.1", "2001:db8::1"
  /// What the route's pattern caught, decoded: {"ns", "me"}, …
  std::vector<std::pair<std::string, std::string>> captures;

  /// The target up to '?', still encoded.
  std::string_view raw_path() const;
  std::string_view raw_query() const;
  /// A captured part of the path; empty where the pattern has no such name.
  const std::string& captured(std::string_view name) const;
  /// The first query parameter of this name, decoded.
  std::optional<std::string> query(std::string_view name) const;
  /// A header field's value, or "".
  const std::string& field(std::string_view name) const;
};

/// An open file that is closed with its last owner.
class OpenFile {
 public:
  /// Throws Error{not_found, io}.
  static std::shared_ptr<const OpenFile> open(const std::string& path);
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int descriptor() const noexcept { return fd_; }
  uint64_t size_bytes() const noexcept { return size_bytes_; }

 private:
  OpenFile(int fd, uint64_t size_bytes) : fd_(fd), size_bytes_(size_bytes) {}
  int fd_;
  uint64_t size_bytes_;
};

/// Bytes [offset, offset + length) of a file, sent by the kernel from its own pages.
struct FileRange {
  std::shared_ptr<const OpenFile> file;
  uint64_t offset = 0;
  uint64_t length = 0;
};

/// A body of unknown length, pulled block by block on a worker: fills the front of the block and returns how much; 0 at the
/// end. Where it throws, the connection is cut, so that the client sees a body that is not whole.
using Pull = std::function<size_t(MutableBytes)>;

/// A body that is written as things happen, for as long as both sides like: Server-Sent Events. While nothing happens it holds no
/// thread, and a connection costs some kilobytes. Every silent Limits::heartbeat a comment line is sent; a client that does not read
/// is cut as with any body. The server destroys it when the client is gone or the stream is over.
class EventStream {
 public:
  virtual ~EventStream() = default;
  /// Called once, before the first take(). `wake` is to be called whenever there may be something to take: from any thread, often (it is
  /// cheap), but never after the destructor has returned.
  virtual void subscribe(std::function<void()> wake) = 0;
  /// Appends what is new since the last call, and only that: how much waits for a slow client is for the stream to bound. False when
  /// nothing will follow. On the server's own thread: must not block.
  virtual bool take(std::string& out) = 0;
};

using Body = std::variant<std::string, FileRange, Pull, std::shared_ptr<EventStream>>;

struct Response {
  int status = 200;
  Fields fields;  ///< without Content-Length, Transfer-Encoding, Connection and Date, which are the server's
  Body body;

  Response& with(std::string name, std::string value) {
    fields.add(std::move(name), std::move(value));
    return *this;
  }
};

/// A body of JSON (or any other type) that is already text.
Response respond(int status, std::string body, std::string content_type = "application/json; charset=utf-8");

/// What a handler throws to answer at once with another response than planned.
class Abort : public Error {
 public:
  Abort(Response response, std::string what);
  const Response& response() const noexcept { return response_; }

 private:
  Response response_;
};

/// Takes one request's body as it comes. Lives on workers, one call at a time; is destroyed unfinished where the client leaves.
class Receiver {
 public:
  virtual ~Receiver() = default;
  virtual void take(Bytes block) = 0;
  /// The body is whole.
  virtual Response finish() = 0;
};

/// `answer` with its body (text or a file), or with the part of it that the request's Range asks for: 200, 206 or 416. Its ETag is what
/// If-Range is held against. Several ranges at once are answered with the whole, as a server may.
Response ranged(const Request& request, Response answer);

}  // namespace depickle::server::http
