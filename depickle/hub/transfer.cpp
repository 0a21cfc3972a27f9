#include "depickle/hub/transfer.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>

#include <curl/curl.h>
#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/url.h"

namespace depickle::hub {

using Clock = std::chrono::steady_clock;

namespace {

constexpr size_t kMaxHeaderBytes = 256 << 10, kMaxErrorBytes = 64 << 10, kMaxIdle = 16;
constexpr uint64_t kAliveBytes = 1024;
constexpr int kWaitMs = 100;

// libcurl over TLS may write to a closed socket. A library does not change the program's signal handlers, so SIGPIPE is
// blocked in this thread while it transfers, and one that came is taken off again.
class NoPipeSignal {
 public:
  NoPipeSignal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoPipeSignal() {
    const timespec now{};
    if (!was_pending_) sigtimedwait(&pipe_, nullptr, &now);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoPipeSignal(const NoPipeSignal&) = delete;
  NoPipeSignal& operator=(const NoPipeSignal&) = delete;

 private:
  sigset_t pipe_, before_;
  bool was_pending_;
};

// What the callbacks of one transfer share. An exception cannot pass through libcurl: it waits here.
struct Exchange {
  const Hop& hop;
  const Transfers::OnBody& on_body;
  Response answer = {};
  size_t header_bytes = 0;
  uint64_t moved_bytes = 0, sent_bytes = 0;
  bool has_head = false;  ///< up to its empty line
  bool is_cut = false;    ///< an error's body was longer than anybody reads
  std::exception_ptr failed = {};

  bool is_good() const { return answer.status >= 200 && answer.status < 300; }
};

size_t on_header(char* data, size_t, size_t size, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  exchange.header_bytes += size;
  if (exchange.header_bytes > kMaxHeaderBytes) return 0;
  std::string_view line(data, size);
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {  // another head: after 100 Continue, or through a proxy
    exchange.answer.headers.clear();
    exchange.has_head = false;
    const size_t space = line.find(' ');
    exchange.answer.status = space == line.npos ? 0 : std::atoi(std::string(line.substr(space)).c_str());
    return size;
  }
  if (line.empty()) exchange.has_head = true;
  const size_t colon = line.find(':');
  if (colon == line.npos) return size;
  std::string name(line.substr(0, colon));
  std::ranges::transform(name, name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; });
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  exchange.answer.headers.emplace_back(std::move(name), value);
  return size;
}

size_t on_received(char* data, size_t, size_t size, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  exchange.moved_bytes += size;
  try {
    if (exchange.is_good()) {
      exchange.on_body(exchange.answer, std::as_bytes(std::span(data, size)));
      return size;
    }
    const size_t room = kMaxErrorBytes - exchange.answer.body.size();
    exchange.answer.body.append(data, std::min(size, room));
    exchange.is_cut = size > room;
    return exchange.is_cut ? 0 : size;
  } catch (...) {
    exchange.failed = std::current_exception();
    return 0;
  }
}

size_t on_wanted(char* out, size_t, size_t room, void* context) {
  auto& exchange = *static_cast<Exchange*>(context);
  const FilePiece& file = *exchange.hop.file;
  try {
    const uint64_t wanted = std::min<uint64_t>(room, file.length - exchange.sent_bytes);
    if (wanted == 0) return 0;
    const ssize_t count = ::pread(file.fd, out, wanted, static_cast<off_t>(file.offset + exchange.sent_bytes));
    if (count < 0) throw system_error(errno, "cannot read", "the file to send");
    if (count == 0) throw Error(Code::integrity, "", "the file shrank while it was sent");
    exchange.sent_bytes += static_cast<uint64_t>(count);
    exchange.moved_bytes += static_cast<uint64_t>(count);
    if (exchange.hop.on_sent) exchange.hop.on_sent(exchange.sent_bytes);
    return static_cast<size_t>(count);
  } catch (...) {
    exchange.failed = std::current_exception();
    return CURL_READFUNC_ABORT;
  }
}

// libcurl sends a body again from its start where a kept connection turned out to be dead.
int on_rewind(void* context, curl_off_t offset, int) {
  static_cast<Exchange*>(context)->sent_bytes = static_cast<uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

// A connection that does nothing, too long: while a body moves, or while the answer is awaited.
class Watch {
 public:
  Watch(const Settings& settings, const Hop& hop)
      : stall_(settings.stall_timeout),
        answer_(settings.answer_timeout * (hop.method == "GET" || hop.method == "HEAD" ? 1 : 10)) {}

  bool is_stalled(uint64_t moved_bytes, bool is_waiting) {
    const Clock::time_point now = Clock::now();
    if (moved_bytes >= counted_bytes_ + kAliveBytes || is_waiting != was_waiting_) {
      counted_bytes_ = moved_bytes;
      since_ = now;
      was_waiting_ = is_waiting;
    }
    return now - since_ > (is_waiting ? answer_ : stall_);
  }

 private:
  std::chrono::milliseconds stall_, answer_;
  uint64_t counted_bytes_ = 0;
  bool was_waiting_ = false;
  Clock::time_point since_ = Clock::now();
};

void global_init() {
  static const CURLcode once = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (once != CURLE_OK) throw std::bad_alloc();
}

}  // namespace

std::string_view Response::header(std::string_view name) const noexcept {
  for (auto header = headers.rbegin(); header != headers.rend(); ++header) {
    if (header->first == name) return header->second;
  }
  return {};
}

// A handle with the connections that it has open.
struct Transfers::Connection {
  CURL* easy = curl_easy_init();
  CURLM* multi = curl_multi_init();
  std::string origin;

  Connection() {
    if (!easy || !multi) throw std::bad_alloc();
  }
  ~Connection() {
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  CURLcode perform(Exchange& exchange, const Settings& settings);
};

// Not curl_easy_perform(): it would ask `check_cancelled` once a second.
CURLcode Transfers::Connection::perform(Exchange& exchange, const Settings& settings) {
  const NoPipeSignal no_pipe_signal;
  curl_multi_add_handle(multi, easy);
  struct Remove {
    Connection& line;
    ~Remove() { curl_multi_remove_handle(line.multi, line.easy); }
  } remove{*this};
  Watch watch(settings, exchange.hop);
  const uint64_t to_send = exchange.hop.file ? exchange.hop.file->length : 0;
  for (int running = 1; running > 0;) {
    if (curl_multi_perform(multi, &running) != CURLM_OK) return CURLE_OUT_OF_MEMORY;
    if (running == 0) break;
    if (settings.check_cancelled) settings.check_cancelled();
    const bool is_waiting = exchange.answer.status == 0 && exchange.sent_bytes >= to_send;
    if (watch.is_stalled(exchange.moved_bytes, is_waiting)) return CURLE_OPERATION_TIMEDOUT;
    curl_multi_poll(multi, nullptr, 0, kWaitMs, nullptr);
  }
  int left = 0;
  const CURLMsg* message = curl_multi_info_read(multi, &left);
  return message ? message->data.result : CURLE_OUT_OF_MEMORY;
}

Transfers::Transfers(const Settings& settings) : settings_(settings) { global_init(); }
Transfers::~Transfers() = default;

std::unique_ptr<Transfers::Connection> Transfers::take(const std::string& origin) {
  std::scoped_lock lock(mutex_);
  auto found = std::ranges::find_if(idle_, [&](const auto& line) { return line->origin == origin; });
  if (found == idle_.end()) {
    auto line = std::make_unique<Connection>();
    line->origin = origin;
    return line;
  }
  std::unique_ptr<Connection> line = std::move(*found);
  idle_.erase(found);
  return line;
}

void Transfers::give_back(std::unique_ptr<Connection> line) {
  std::scoped_lock lock(mutex_);
  if (idle_.size() >= kMaxIdle) idle_.pop_back();
  idle_.insert(idle_.begin(), std::move(line));
}

Response Transfers::run(const Hop& hop, const OnBody& on_body) {
  std::unique_ptr<Connection> line = take(origin_of(hop.url).value_or(""));
  CURL* easy = line->easy;
  curl_easy_reset(easy);
  std::array<char, CURL_ERROR_SIZE> reason{};
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reason.data());
  curl_easy_setopt(easy, CURLOPT_URL, hop.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 256L << 10);
  curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 512L << 10);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings_.connect_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_USERAGENT, settings_.user_agent.c_str());
  if (!settings_.certificates.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, settings_.certificates.c_str());
  if (hop.is_once) curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);

  Exchange exchange{hop, on_body};
  exchange.answer.url = hop.url;
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_received);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
  if (hop.method == "HEAD") curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  if (hop.body) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, hop.body->data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(hop.body->size()));
  }
  if (hop.file) {
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(hop.file->length));
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_wanted);
    curl_easy_setopt(easy, CURLOPT_READDATA, &exchange);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_rewind);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, &exchange);
  }
  if (hop.method != "GET" && hop.method != "HEAD") curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, hop.method.c_str());
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(nullptr, curl_slist_free_all);
  auto add_header = [&](const char* text) { headers.reset(curl_slist_append(headers.release(), text)); };
  add_header("Expect:");  // no round trip before a body
  for (const std::string& header : hop.headers) add_header(header.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());

  const CURLcode result = line->perform(exchange, settings_);
  if (exchange.failed) std::rethrow_exception(exchange.failed);
  // libcurl is content with a head that was cut off.
  const bool is_whole = result == CURLE_OK && exchange.has_head;
  if (!is_whole && !exchange.is_cut) {
    double connected_seconds = 0;
    curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME, &connected_seconds);
    const std::string why = result == CURLE_OPERATION_TIMEDOUT && !reason[0] ? "it stopped answering"
                            : exchange.header_bytes > kMaxHeaderBytes        ? "its headers have no end"
                            : reason[0]                                      ? printable(reason.data())
                            : result == CURLE_OK                             ? "the answer was cut off"
                                                                             : curl_easy_strerror(result);
    throw ConnectionError(Error(Code::network, "", fmt::format("the connection failed: {}", why),
                              Where::in(without_query(hop.url)), "try again later"),
        connected_seconds == 0);
  }
  if (!exchange.is_cut) give_back(std::move(line));
  return std::move(exchange.answer);
}

}  // namespace depickle::hub
