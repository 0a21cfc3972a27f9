#include "depickle/hub/transfer.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/curl_library.h"
#include "depickle/hub/url.h"

namespace depickle::hub {

using Clock = std::chrono::steady_clock;

namespace {

constexpr size_t kMaxHeaderBytes = 256 << 10, kMaxErrorBytes = 64 << 10, kMaxIdleConnections = 16;
constexpr uint64_t kMinProgressBytes = 1024;
constexpr int kPollMs = 100;

// libcurl over TLS may write to a closed socket. A library must not change the program's signal handlers, so SIGPIPE is
// blocked in this thread during a transfer, and a pending one is discarded.
class SigpipeBlocker {
 public:
  SigpipeBlocker() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~SigpipeBlocker() {
    const timespec now{};
    if (!was_pending_) sigtimedwait(&pipe_, nullptr, &now);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SigpipeBlocker(const SigpipeBlocker&) = delete;
  SigpipeBlocker& operator=(const SigpipeBlocker&) = delete;

 private:
  sigset_t pipe_, before_;
  bool was_pending_;
};

// State of one transfer, shared by the callbacks. An exception cannot pass through libcurl, so it is stored here.
struct Exchange {
  const HttpRequest& request;
  const Transfers::OnBody& on_body;
  Response response = {};
  size_t header_bytes = 0;
  uint64_t moved_bytes = 0, sent_bytes = 0;
  bool has_head = false;      ///< up to its empty line
  bool is_truncated = false;  ///< the body of an error was longer than kMaxErrorBytes
  std::exception_ptr failed = {};

  bool is_success() const { return response.status >= 200 && response.status < 300; }
};

void parse_header(Exchange& exchange, std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {  // a further head: after 100 Continue, or from a proxy
    exchange.response.headers.clear();
    exchange.has_head = false;
    const size_t space = line.find(' ');
    exchange.response.status = space == line.npos ? 0 : std::atoi(std::string(line.substr(space)).c_str());
    return;
  }
  if (line.empty()) exchange.has_head = true;
  const size_t colon = line.find(':');
  if (colon == line.npos) return;
  std::string name = lower_case(line.substr(0, colon));
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  exchange.response.headers.emplace_back(std::move(name), value);
}

size_t on_header(char* data, size_t, size_t size, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  exchange.header_bytes += size;
  if (exchange.header_bytes > kMaxHeaderBytes) return 0;
  try {
    parse_header(exchange, std::string_view(data, size));
    return size;
  } catch (...) {
    exchange.failed = std::current_exception();
    return 0;
  }
}

size_t on_body_received(char* data, size_t, size_t size, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  exchange.moved_bytes += size;
  try {
    if (exchange.is_success()) {
      exchange.on_body(exchange.response, std::as_bytes(std::span(data, size)));
      return size;
    }
    const size_t room = kMaxErrorBytes - exchange.response.body.size();
    exchange.response.body.append(data, std::min(size, room));
    exchange.is_truncated = size > room;
    return exchange.is_truncated ? 0 : size;
  } catch (...) {
    exchange.failed = std::current_exception();
    return 0;
  }
}

size_t on_body_wanted(char* out, size_t, size_t room, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  const FileRange& file = *exchange.request.file;
  try {
    const uint64_t wanted = std::min<uint64_t>(room, file.length - exchange.sent_bytes);
    if (wanted == 0) return 0;
    const ssize_t count = ::pread(file.descriptor, out, wanted, static_cast<off_t>(file.offset + exchange.sent_bytes));
    if (count < 0) throw system_error(errno, "cannot read", "the file to send");
    if (count == 0) throw Error(Code::integrity, "", "the file shrank while it was sent");
    exchange.sent_bytes += static_cast<uint64_t>(count);
    exchange.moved_bytes += static_cast<uint64_t>(count);
    if (exchange.request.on_sent) exchange.request.on_sent(exchange.sent_bytes);
    return static_cast<size_t>(count);
  } catch (...) {
    exchange.failed = std::current_exception();
    return CURL_READFUNC_ABORT;
  }
}

// libcurl sends a body again from its start if a reused connection turns out to be closed.
int on_rewind(void* context, curl_off_t offset, int) {
  static_cast<Exchange*>(context)->sent_bytes = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

// Detects a connection without progress, while a body is transferred or the response is awaited.
class StallTimer {
 public:
  StallTimer(const Settings& settings, const HttpRequest& request)
      : stall_(settings.stall_timeout),
        response_(settings.response_timeout * (request.method == "GET" || request.method == "HEAD" ? 1 : 10)) {}

  bool is_stalled(uint64_t moved_bytes, bool is_waiting) {
    const Clock::time_point now = Clock::now();
    if (moved_bytes >= counted_bytes_ + kMinProgressBytes || is_waiting != was_waiting_) {
      counted_bytes_ = moved_bytes;
      since_ = now;
      was_waiting_ = is_waiting;
    }
    return now - since_ > (is_waiting ? response_ : stall_);
  }

 private:
  std::chrono::milliseconds stall_, response_;
  uint64_t counted_bytes_ = 0;
  bool was_waiting_ = false;
  Clock::time_point since_ = Clock::now();
};

}  // namespace

std::string_view Response::header(std::string_view name) const noexcept {
  for (auto header = headers.rbegin(); header != headers.rend(); ++header) {
    if (header->first == name) return header->second;
  }
  return {};
}

// A libcurl handle and its open connection.
struct Transfers::Connection {
  CURL* easy = curl().easy_init();
  CURLM* multi = curl().multi_init();
  std::string origin;

  Connection() {
    if (easy && multi) return;
    cleanup();
    throw std::bad_alloc();
  }
  ~Connection() { cleanup(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  template <typename Value>
  void set(CURLoption option, Value value) {
    curl().easy_setopt(easy, option, value);
  }
  void set_settings(const Settings& settings);
  void set_request(const HttpRequest& request, Exchange& exchange);
  CURLcode perform(Exchange& exchange, const Settings& settings);

 private:
  void cleanup() {
    curl().easy_cleanup(easy);
    curl().multi_cleanup(multi);
  }
};

void Transfers::Connection::set_settings(const Settings& settings) {
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_BUFFERSIZE, 256L << 10);
  set(CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings.connect_timeout.count()));
  set(CURLOPT_USERAGENT, settings.user_agent.c_str());
  if (!settings.certificates.empty()) set(CURLOPT_CAINFO, settings.certificates.c_str());
}

void Transfers::Connection::set_request(const HttpRequest& request, Exchange& exchange) {
  set(CURLOPT_URL, request.url.c_str());
  if (!request.is_repeatable) set(CURLOPT_FRESH_CONNECT, 1L);
  set(CURLOPT_HEADERFUNCTION, on_header);
  set(CURLOPT_HEADERDATA, &exchange);
  set(CURLOPT_WRITEFUNCTION, on_body_received);
  set(CURLOPT_WRITEDATA, &exchange);
  if (request.method == "HEAD") set(CURLOPT_NOBODY, 1L);
  if (request.body) {
    set(CURLOPT_POSTFIELDS, request.body->data());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body->size()));
  }
  if (request.file) {
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.file->length));
    set(CURLOPT_READFUNCTION, on_body_wanted);
    set(CURLOPT_READDATA, &exchange);
    set(CURLOPT_SEEKFUNCTION, on_rewind);
    set(CURLOPT_SEEKDATA, &exchange);
  }
  if (request.method != "GET" && request.method != "HEAD") set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

// curl_easy_perform() would call `check_cancelled` only once per second.
CURLcode Transfers::Connection::perform(Exchange& exchange, const Settings& settings) {
  const SigpipeBlocker sigpipe_blocker;
  curl().multi_add_handle(multi, easy);
  struct Remove {
    Connection& connection;
    ~Remove() { curl().multi_remove_handle(connection.multi, connection.easy); }
  } remove{*this};
  StallTimer timer(settings, exchange.request);
  const uint64_t to_send = exchange.request.file ? exchange.request.file->length : 0;
  for (int running = 1; running > 0;) {
    if (curl().multi_perform(multi, &running) != CURLM_OK) return CURLE_OUT_OF_MEMORY;
    if (running == 0) break;
    if (settings.check_cancelled) settings.check_cancelled();
    const bool is_waiting = exchange.response.status == 0 && exchange.sent_bytes >= to_send;
    if (timer.is_stalled(exchange.moved_bytes, is_waiting)) return CURLE_OPERATION_TIMEDOUT;
    curl().multi_poll(multi, nullptr, 0, kPollMs, nullptr);
  }
  int queued = 0;
  const CURLMsg* message = curl().multi_info_read(multi, &queued);
  return message ? message->data.result : CURLE_OUT_OF_MEMORY;
}

Transfers::Transfers(const Settings& settings) : settings_(settings) {}
Transfers::~Transfers() = default;

std::unique_ptr<Transfers::Connection> Transfers::take(const std::string& origin) {
  std::scoped_lock lock(mutex_);
  auto found = std::ranges::find_if(idle_, [&](const auto& connection) { return connection->origin == origin; });
  if (found == idle_.end()) {
    auto connection = std::make_unique<Connection>();
    connection->origin = origin;
    return connection;
  }
  std::unique_ptr<Connection> connection = std::move(*found);
  idle_.erase(found);
  return connection;
}

void Transfers::give_back(std::unique_ptr<Connection> connection) {
  std::scoped_lock lock(mutex_);
  if (idle_.size() >= kMaxIdleConnections) idle_.pop_back();
  idle_.insert(idle_.begin(), std::move(connection));
}

Response Transfers::run(const HttpRequest& request, const OnBody& on_body) {
  std::unique_ptr<Connection> connection = take(origin_of(request.url).value_or(""));
  curl().easy_reset(connection->easy);
  Exchange exchange{request, on_body};
  exchange.response.url = request.url;
  std::array<char, CURL_ERROR_SIZE> reason{};
  connection->set(CURLOPT_ERRORBUFFER, reason.data());
  connection->set_settings(settings_);
  connection->set_request(request, exchange);
  std::unique_ptr<curl_slist, decltype(&::curl_slist_free_all)> headers(nullptr, curl().slist_free_all);
  auto add_header = [&](const char* text) {
    curl_slist* longer = curl().slist_append(headers.get(), text);
    if (!longer) throw std::bad_alloc();
    (void)headers.release();
    headers.reset(longer);
  };
  add_header("Expect:");  // no round trip before a body
  for (const std::string& header : request.headers) add_header(header.c_str());
  connection->set(CURLOPT_HTTPHEADER, headers.get());

  const CURLcode result = connection->perform(exchange, settings_);
  if (exchange.failed) std::rethrow_exception(exchange.failed);
  // libcurl accepts a head without its end.
  const bool is_complete = result == CURLE_OK && exchange.has_head;
  if (!is_complete && !exchange.is_truncated) {
    double connected_seconds = 0;
    curl().easy_getinfo(connection->easy, CURLINFO_PRETRANSFER_TIME, &connected_seconds);
    const std::string why = result == CURLE_OPERATION_TIMEDOUT && !reason[0] ? "the server stopped responding"
                            : exchange.header_bytes > kMaxHeaderBytes        ? "the headers are too long"
                            : reason[0]                                      ? printable(reason.data())
                            : result == CURLE_OK                             ? "the response is truncated"
                                                                             : curl().easy_strerror(result);
    throw ConnectionError(Error(Code::network, "", fmt::format("the connection failed: {}", why),
                              Where::in(without_query(request.url)), "try again later"),
        connected_seconds == 0);
  }
  if (!exchange.is_truncated) give_back(std::move(connection));
  return std::move(exchange.response);
}

}  // namespace depickle::hub
