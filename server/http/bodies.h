// Request bodies: who sends them, and how many bytes of them the server stores before they are complete.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "server/base/temporary_file.h"
#include "server/http/message.h"

namespace depickle::server::http {

class Router;

/// Called on workers, concurrently.
using Handler = std::function<Response(Request&)>;

/// Returns the response {"error": text}.
Response plain_error(int status, std::string_view text);

/// Who sends a request.
struct Sender {
  std::string user;  ///< empty if the request is anonymous
  std::string address;

  static Sender anonymous(const Request& request) { return {"", request.peer}; }
  static Sender signed_in(const Request& request, std::string user) { return {std::move(user), request.peer}; }
};

/// Users and anonymous senders have separate limits, so an anonymous client cannot use up what users need. One user, or
/// one address without a login, may use a quarter of a limit.
struct BodyLimits {
  uint64_t memory_bytes = 16 << 10;  ///< of one body; the rest of it is in a temporary file
  uint64_t users_bytes = 512 << 20;  ///< of the incomplete bodies of all users; more get status 503
  uint64_t anonymous_bytes = 128 << 20;
  std::filesystem::path folder = std::filesystem::temp_directory_path();  ///< of the temporary files
};

/// The stored bytes of all incomplete bodies of a server. Safe to use from several threads.
class BodyBudget {
 public:
  explicit BodyBudget(BodyLimits limits) : limits_(std::move(limits)) {}
  const BodyLimits& limits() const noexcept { return limits_; }
  /// Returns false if the sender would exceed a limit.
  bool take(const Sender& sender, uint64_t bytes);
  void give_back(const Sender& sender, uint64_t bytes);

 private:
  struct Pool {
    uint64_t used_bytes = 0;
    std::map<std::string, uint64_t, std::less<>> by_sender;
  };
  const BodyLimits limits_;
  std::mutex mutex_;
  Pool users_, anonymous_;
};

/// The stored bytes of one body. The destructor gives them back to the budget.
class BodyShare {
 public:
  BodyShare(BodyBudget& budget, const Router& router, Sender sender)
      : budget_(budget),
        router_(router),
        sender_(std::move(sender)) {}
  ~BodyShare() { budget_.give_back(sender_, bytes_); }
  BodyShare(const BodyShare&) = delete;
  BodyShare& operator=(const BodyShare&) = delete;

  /// Makes the share at least this large. Throws Abort with status 503 if a limit is exceeded.
  void grow_to(uint64_t bytes);
  const BodyLimits& limits() const noexcept { return budget_.limits(); }
  const Router& router() const noexcept { return router_; }

 private:
  BodyBudget& budget_;
  const Router& router_;
  const Sender sender_;
  uint64_t bytes_ = 0;
};

/// Stores a body: its first BodyLimits::memory_bytes in memory; a longer one in a temporary file.
class BodyFile {
 public:
  BodyFile(BodyBudget& budget, const Router& router, Sender sender, uint64_t max_bytes)
      : share_(budget, router, std::move(sender)),
        max_bytes_(max_bytes) {}

  /// Throws Abort with status 413 for more than `max_bytes`, 503 if a limit is exceeded; Error{io}.
  void append(Bytes bytes);
  uint64_t size_bytes() const noexcept { return file_ ? file_->size_bytes() : memory_.size(); }
  /// Fills `out` from `offset_bytes`. Throws Error{io}.
  void read(uint64_t offset_bytes, MutableBytes out) const;
  std::string all() const;
  /// Returns the descriptor of a file with the content, at its start. The BodyFile owns it.
  int descriptor();

 private:
  void move_to_file();

  BodyShare share_;
  const uint64_t max_bytes_;
  std::string memory_;
  std::optional<TemporaryFile> file_;
};

/// Makes the receiver of one request's body. The caller has checked the head of the request: `sender` is who sent it.
class Bodies {
 public:
  Bodies(BodyBudget& budget, const Router& router) : budget_(budget), router_(router) {}

  /// Returns a receiver that calls `handler` with the complete body in Request::body. Throws Abort with status 413 if
  /// Content-Length exceeds `max_bytes`; the receiver throws it if the body does.
  std::unique_ptr<Receiver> buffered(
      Request& request, Sender sender, Handler handler, uint64_t max_bytes = 64 << 10) const;
  /// Returns a receiver that drops the body and then calls `handler`.
  std::unique_ptr<Receiver> dropped(Request& request, Handler handler, uint64_t max_bytes = 2 << 20) const;
  /// For receivers that store bytes themselves.
  BodyFile file(const Request& request, Sender sender, uint64_t max_bytes) const;
  BodyShare share(Sender sender) const { return BodyShare(budget_, router_, std::move(sender)); }

 private:
  void check_length(const Request& request, uint64_t max_bytes) const;

  BodyBudget& budget_;
  const Router& router_;
};

}  // namespace depickle::server::http
