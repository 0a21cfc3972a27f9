#include "server/http/access_guard.h"

#include "server_fixture.h"

namespace depickle::server::http {
namespace {

using Names = std::vector<std::string>;

Request request(std::string method, std::initializer_list<std::pair<std::string, std::string>> fields) {
  Request request;
  request.method = std::move(method);
  for (const auto& [name, value] : fields) request.fields.add(name, value);
  return request;
}

int status(const AccessGuard& guard, const Request& request) {
  auto rejection = guard.check(request);
  return rejection ? rejection->status : 200;
}

AccessGuard guard_at(const std::string& host, Names names = {}) {
  AccessGuard guard(std::move(names));
  guard.set_address(host, 8080);
  return guard;
}

int host_status(const AccessGuard& guard, const std::string& host) {
  return status(guard, request("GET", {{"Host", host}}));
}

TEST(AccessGuard, AllowsLoopbackNamesAndTheBoundAddress) {
  const AccessGuard guard = guard_at("10.0.0.1");
  for (const char* host : {"127.0.0.1:8080", "localhost:8080", "LocalHost:8080", "[::1]:8080", "10.0.0.1:8080"})
    EXPECT_EQ(host_status(guard, host), 200) << host;
  for (const char* host : {"evil.example", "evil.example:8080", "localhost.evil.example:8080", "127.0.0.1:1",
           "localhost", "10.0.0.2:8080", ""})
    EXPECT_EQ(host_status(guard, host), 421) << host;
}

TEST(AccessGuard, AllowsConfiguredNamesAndEveryAddressOfAServerOnAllInterfaces) {
  const AccessGuard named = guard_at("127.0.0.1", {"models.example", "hub.example:99"});
  EXPECT_EQ(host_status(named, "models.example"), 200);
  EXPECT_EQ(host_status(named, "Models.example:8443"), 200);
  EXPECT_EQ(host_status(named, "hub.example:99"), 200);
  EXPECT_EQ(host_status(named, "hub.example"), 421);
  for (const char* any : {"0.0.0.0", "::"}) {
    const AccessGuard guard = guard_at(any);
    EXPECT_EQ(host_status(guard, "192.0.2.7:8080"), 200);
    EXPECT_EQ(host_status(guard, "[2001:db8::1]:9"), 200);
    EXPECT_EQ(host_status(guard, "evil.example:8080"), 421) << "a name can be rebound";
  }
}

TEST(AccessGuard, RejectsRequestsOfOtherSites) {
  const AccessGuard guard = guard_at("127.0.0.1");
  const std::pair<std::string, std::string> host{"Host", "localhost:8080"};
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH"}) {
    EXPECT_EQ(status(guard, request(method, {host})), 200) << "huggingface_hub, git and hf-xet";
    EXPECT_EQ(status(guard, request(method, {host, {"Origin", "http://localhost:8080"}})), 200);
    for (const char* origin : {"null", "http://evil.example", "http://localhost:8081",
             "http://localhost:8080.evil.example", "localhost:8080", ""})
      EXPECT_EQ(status(guard, request(method, {host, {"Origin", origin}})), 403) << origin;
    for (const char* site : {"cross-site", "same-site", "unknown"})
      for (const char* mode : {"navigate", "no-cors", "cors"})
        EXPECT_EQ(status(guard, request(method, {host, {"Sec-Fetch-Site", site}, {"Sec-Fetch-Mode", mode}})), 403);
    for (const char* site : {"same-origin", "none"})
      EXPECT_EQ(status(guard, request(method, {host, {"Sec-Fetch-Site", site}})), 200);
  }
}

TEST(AccessGuard, AllowsLinksOfOtherSitesButNotTheirImagesAndScripts) {
  const AccessGuard guard = guard_at("127.0.0.1");
  auto get = [&](const char* mode) {
    return status(guard,
        request("GET", {{"Host", "localhost:8080"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Mode", mode}}));
  };
  EXPECT_EQ(get("navigate"), 200);
  EXPECT_EQ(get("no-cors"), 403);
  EXPECT_EQ(get("cors"), 403);
}

TEST(ClientAddress, BelievesOnlyTrustedProxies) {
  const Request forwarded = request("GET", {{"X-Forwarded-For", "198.51.100.1, 203.0.113.9"}});
  EXPECT_EQ(client_address(forwarded, "127.0.0.1", {}), "127.0.0.1");
  EXPECT_EQ(client_address(forwarded, "127.0.0.1", {"192.0.2.1"}), "127.0.0.1");
  EXPECT_EQ(client_address(forwarded, "127.0.0.1", {"127.0.0.1"}), "203.0.113.9") << "the last one; others are forged";
  EXPECT_EQ(client_address(forwarded, "::ffff:127.0.0.1", {"127.0.0.1"}), "203.0.113.9");
  EXPECT_EQ(client_address(forwarded, "10.0.0.1", {"10.0.0.1", "203.0.113.9"}), "198.51.100.1") << "two proxies";
  EXPECT_EQ(client_address(request("GET", {}), "10.0.0.1", {"10.0.0.1"}), "10.0.0.1");
  for (const char* invalid : {"", "unknown", "1.2.3.4, evil", "1.2.3.4, "})
    EXPECT_EQ(client_address(request("GET", {{"X-Forwarded-For", invalid}}), "10.0.0.1", {"10.0.0.1"}), "10.0.0.1");
  const Request two = request("GET", {{"X-Forwarded-For", "1.1.1.1"}, {"x-forwarded-for", "2.2.2.2"}});
  EXPECT_EQ(client_address(two, "10.0.0.1", {"10.0.0.1"}), "2.2.2.2") << "a proxy may add a field";
}

TEST(ClientAddress, KnowsLoopbackNames) {
  for (const char* host : {"localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]", "::ffff:127.0.0.1"})
    EXPECT_TRUE(is_loopback_host(host)) << host;
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "localhost.evil.example", "2001:db8::1", ""})
    EXPECT_FALSE(is_loopback_host(host)) << host;
}

// The guard of the server's router applies to mounted routers, to their fallbacks, and to paths without a route.
TEST_F(ServerTest, TheGuardChecksEveryRequest) {
  Router root, below;
  below.add("GET", "/below", [](Request&) { return respond(200, "secret", "text/plain"); });
  below.add_with_body("PUT", "/stream", [](Request&, const Bodies&) { return std::make_unique<Counting>(); });
  below.set_fallback([](Request&) { return respond(404, "nothing", "text/plain"); });
  below.set_error_response(
      [](int code, std::string_view text) { return respond(code, "below: " + std::string(text)); });
  root.add("GET", "/own", [](Request&) { return respond(200, "secret", "text/plain"); });
  root.mount("/", below);
  AccessGuard guard({"h"});
  root.set_guard([&](const Request& request) { return guard.check(request); });
  RunningServer server(root, {});
  for (const char* target : {"/own", "/below", "/none"}) {
    EXPECT_NE(ask(server.port, std::string("GET ") + target + " HTTP/1.1\r\nHost: h\r\n\r\n").status, 421) << target;
    Answer answer = ask(server.port, std::string("GET ") + target + " HTTP/1.1\r\nHost: evil\r\n\r\n");
    EXPECT_EQ(answer.status, 421) << target;
    EXPECT_EQ(answer.body, "below: the host evil is not allowed");
  }
  const std::string upload = "PUT /stream HTTP/1.1\r\nHost: h\r\nOrigin: http://evil\r\nContent-Length: 100\r\n\r\n";
  EXPECT_EQ(ask(server.port, upload).status, 403) << "before the body";
}

}  // namespace
}  // namespace depickle::server::http
