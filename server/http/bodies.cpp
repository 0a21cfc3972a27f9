#include "server/http/bodies.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "server/http/addresses.h"
#include "server/http/router.h"

namespace depickle::server::http {
namespace {

// One sender may use this part of a limit.
constexpr uint64_t kSenders = 4;

std::string key_of(const Sender& sender) { return sender.user.empty() ? network_of(sender.address) : sender.user; }

[[noreturn]] void throw_too_large(const Router& router, uint64_t max_bytes) {
  throw Abort(
      router.error(413, fmt::format("the body is too large (need at most {} bytes)", max_bytes)), "body too large");
}

class BufferedBody final : public Receiver {
 public:
  BufferedBody(Request& request, const Bodies& bodies, Sender sender, Handler handler, uint64_t max_bytes)
      : request_(request),
        file_(bodies.file(request, std::move(sender), max_bytes)),
        handler_(std::move(handler)) {}
  void take(Bytes block) override { file_.append(block); }
  Response finish() override {
    request_.body = file_.all();
    return handler_(request_);
  }

 private:
  Request& request_;
  BodyFile file_;
  Handler handler_;
};

class DroppedBody final : public Receiver {
 public:
  DroppedBody(Request& request, const Router& router, Handler handler, uint64_t max_bytes)
      : request_(request),
        router_(router),
        handler_(std::move(handler)),
        max_bytes_(max_bytes) {}
  void take(Bytes block) override {
    bytes_ += block.size();
    if (bytes_ > max_bytes_) throw_too_large(router_, max_bytes_);
  }
  Response finish() override { return handler_(request_); }

 private:
  Request& request_;
  const Router& router_;
  Handler handler_;
  uint64_t max_bytes_, bytes_ = 0;
};

}  // namespace

Response plain_error(int status, std::string_view text) {
  return respond(status, fmt::format(R"({{"error":"{}"}})", text));
}

bool BodyBudget::take(const Sender& sender, uint64_t bytes) {
  std::lock_guard lock(mutex_);
  Pool& pool = sender.user.empty() ? anonymous_ : users_;
  const uint64_t max_bytes = sender.user.empty() ? limits_.anonymous_bytes : limits_.users_bytes;
  uint64_t& own = pool.by_sender[key_of(sender)];
  const bool fits = bytes <= max_bytes - std::min(max_bytes, pool.used_bytes) && own + bytes <= max_bytes / kSenders;
  if (fits) {
    own += bytes;
    pool.used_bytes += bytes;
  }
  if (own == 0) pool.by_sender.erase(key_of(sender));
  return fits;
}

void BodyBudget::give_back(const Sender& sender, uint64_t bytes) {
  if (bytes == 0) return;
  std::lock_guard lock(mutex_);
  Pool& pool = sender.user.empty() ? anonymous_ : users_;
  auto own = pool.by_sender.find(key_of(sender));
  own->second -= bytes;
  pool.used_bytes -= bytes;
  if (own->second == 0) pool.by_sender.erase(own);
}

void BodyShare::grow_to(uint64_t bytes) {
  if (bytes <= bytes_) return;
  if (!budget_.take(sender_, bytes - bytes_))
    throw Abort(router_.error(503, "too many requests at once").with("Retry-After", "1"), "busy");
  bytes_ = bytes;
}

void BodyFile::append(Bytes bytes) {
  if (bytes.size() > max_bytes_ - size_bytes()) throw_too_large(share_.router(), max_bytes_);
  if (!file_ && memory_.size() + bytes.size() <= share_.limits().memory_bytes) {
    memory_.append(text(bytes));
    return;
  }
  share_.grow_to(size_bytes() + bytes.size());
  move_to_file();
  file_->append(bytes);
}

void BodyFile::move_to_file() {
  if (file_) return;
  file_.emplace(share_.limits().folder);
  file_->append(std::as_bytes(std::span(memory_)));
  std::string().swap(memory_);
}

void BodyFile::read(uint64_t offset_bytes, MutableBytes out) const {
  if (file_) return file_->read(offset_bytes, out);
  std::string_view found = std::string_view(memory_).substr(std::min<uint64_t>(offset_bytes, memory_.size()));
  if (found.size() < out.size()) throw Error(Code::io, "", "the body is shorter than expected");
  if (!out.empty()) std::memcpy(out.data(), found.data(), out.size());
}

std::string BodyFile::all() const {
  std::string content(size_bytes(), '\0');
  read(0, std::as_writable_bytes(std::span(content)));
  return content;
}

int BodyFile::descriptor() {
  share_.grow_to(size_bytes());
  move_to_file();
  return file_->descriptor();
}

void Bodies::check_length(const Request& request, uint64_t max_bytes) const {
  if (request.body_bytes.value_or(0) > max_bytes) throw_too_large(router_, max_bytes);
}

std::unique_ptr<Receiver> Bodies::buffered(Request& request, Sender sender, Handler handler, uint64_t max_bytes) const {
  return std::make_unique<BufferedBody>(request, *this, std::move(sender), std::move(handler), max_bytes);
}

std::unique_ptr<Receiver> Bodies::dropped(Request& request, Handler handler, uint64_t max_bytes) const {
  check_length(request, max_bytes);
  return std::make_unique<DroppedBody>(request, router_, std::move(handler), max_bytes);
}

BodyFile Bodies::file(const Request& request, Sender sender, uint64_t max_bytes) const {
  check_length(request, max_bytes);
  return BodyFile(budget_, router_, std::move(sender), max_bytes);
}

}  // namespace depickle::server::http
