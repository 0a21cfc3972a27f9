// The only file that includes Boost.Beast.
#include "server/http/parser.h"

#include <time.h>

#include <algorithm>

#include <fmt/format.h>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/status.hpp>

namespace depickle::server::http {
namespace beast = boost::beast;
namespace {

[[noreturn]] void reject(const beast::error_code& problem) {
  int status = problem == beast::http::error::header_limit ? 431 : 400;
  throw Abort(respond(status, R"({"error":"the request is not a valid HTTP/1.1 request"})"), problem.message());
}

void check(const beast::error_code& problem) {
  if (problem && problem != beast::http::error::need_more) reject(problem);
}

bool is_host(std::string_view text) {
  return !text.empty() && text.size() <= 255 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
  });
}

std::string http_date() {
  time_t now = ::time(nullptr);
  struct tm parts{};
  ::gmtime_r(&now, &parts);
  char text[40];
  return std::string(text, ::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
}

}  // namespace

struct RequestParser::Beast final : beast::http::basic_parser<true> {
  Request request;
  const std::function<void(Bytes)>* take = nullptr;
  bool wants_continue = false;

  void on_request_impl(
      beast::http::verb, beast::string_view method, beast::string_view target, int, beast::error_code&) override {
    request.method = method;
    request.target = target;
  }
  void on_response_impl(int, beast::string_view, int, beast::error_code&) override {}
  void on_field_impl(
      beast::http::field, beast::string_view name, beast::string_view value, beast::error_code&) override {
    request.fields.add(std::string(name), std::string(value));
  }
  void on_header_impl(beast::error_code&) override {}
  void on_body_init_impl(const boost::optional<uint64_t>&, beast::error_code&) override {}
  size_t on_body_impl(beast::string_view body, beast::error_code&) override {
    (*take)(std::as_bytes(std::span(body.data(), body.size())));
    return body.size();
  }
  void on_chunk_header_impl(uint64_t, beast::string_view, beast::error_code&) override {}
  size_t on_chunk_body_impl(uint64_t, beast::string_view body, beast::error_code& problem) override {
    return on_body_impl(body, problem);
  }
  void on_finish_impl(beast::error_code&) override {}
};

RequestParser::RequestParser(uint32_t max_head_bytes) : beast_(std::make_unique<Beast>()) {
  beast_->header_limit(max_head_bytes);
  beast_->body_limit(boost::none);
}
RequestParser::~RequestParser() = default;

size_t RequestParser::put_head(std::string_view bytes) {
  beast::error_code problem;
  size_t used = beast_->put(boost::asio::const_buffer(bytes.data(), bytes.size()), problem);
  check(problem);
  if (!beast_->is_header_done()) return used;
  Request& request = beast_->request;
  if (auto length = beast_->content_length()) request.body_bytes = *length;
  if (!is_host(request.field("Host")))
    throw Abort(respond(400, R"({"error":"the Host header is missing or invalid"})"), "bad host");
  std::string expect = request.field("Expect");
  std::transform(expect.begin(), expect.end(), expect.begin(), [](unsigned char c) { return std::tolower(c); });
  beast_->wants_continue = expect == "100-continue";
  return used;
}

size_t RequestParser::put_body(std::string_view bytes, const std::function<void(Bytes)>& take) {
  beast_->take = &take;
  size_t used = 0;
  while (!beast_->is_done() && used < bytes.size()) {
    beast::error_code problem;
    size_t now = beast_->put(boost::asio::const_buffer(bytes.data() + used, bytes.size() - used), problem);
    check(problem);
    used += now;
    if (now == 0) break;
  }
  return used;
}

bool RequestParser::is_head_done() const { return beast_->is_header_done(); }
bool RequestParser::is_done() const { return beast_->is_done(); }
bool RequestParser::keeps_alive() const { return beast_->keep_alive(); }
bool RequestParser::expects_continue() const { return beast_->wants_continue; }
Request& RequestParser::request() { return beast_->request; }

std::optional<uint64_t> RequestParser::remaining_bytes() const {
  auto remaining = beast_->content_length_remaining();
  return remaining ? std::optional<uint64_t>(*remaining) : std::nullopt;
}

std::string response_head(const Response& response, std::optional<uint64_t> body_bytes, bool keep_alive) {
  beast::string_view reason = beast::http::obsolete_reason(static_cast<beast::http::status>(response.status));
  std::string head = fmt::format(
      "HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status, std::string_view(reason.data(), reason.size()), http_date());
  for (const auto& [name, value] : response.fields) {
    head += name + ": ";
    // Values may contain file names and error texts. A line break in them would forge a field.
    for (char c : value) head += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    head += "\r\n";
  }
  if (body_bytes) head += fmt::format("Content-Length: {}\r\n", *body_bytes);
  if (!body_bytes && response.status >= 200 && response.status != 204 && response.status != 304)
    head += "Transfer-Encoding: chunked\r\n";
  return head + (keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
}

}  // namespace depickle::server::http
