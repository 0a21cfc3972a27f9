// Every route of the Hub that takes a body checks its sender at the head of the request.
#include <set>

#include "server/hub/api/hub_api.h"
#include "tests/server/hub/store_fixture.h"

namespace depickle::server::api {
namespace {

/// Returns a path that matches the pattern, of the private repository me/secret.
std::string path_of(const std::vector<std::string>& pattern) {
  std::string path;
  for (const std::string& piece : pattern) {
    size_t open = piece.find('{'), close = piece.find('}');
    if (open == std::string::npos) {
      path += "/" + piece;
      continue;
    }
    std::string name = piece.substr(open + 1, close - open - 1);
    std::string value = name == "type" ? "models" : name == "ns" ? "me" : name == "name" ? "secret" : "1";
    path += "/" + value + piece.substr(close + 1);
  }
  return path;
}

class RoutesTest : public repos::StoreTest {
 protected:
  /// Returns the status with which the Hub refuses the head of a request, or 0 if it would read the body.
  int refusal(const std::string& method, const std::string& path, const std::string& token = "") {
    http::Request request;
    request.method = method;
    request.target = path;
    request.peer = "10.0.0.1";
    request.body_bytes = 1000;
    if (!token.empty()) request.fields.add("Authorization", "Bearer " + token);
    try {
      http::Router::Match match = api_.router().find(request);
      match.route.opener(request, http::Bodies(budget_, match.router));
      return 0;
    } catch (const http::Abort& abort) {
      return abort.response().status;
    } catch (const std::exception& problem) {
      return HubApi::explain(request, problem).status;
    }
  }
  HubApi api_{*store_};
  http::BodyBudget budget_{http::BodyLimits{}};
};

TEST_F(RoutesTest, NoRouteReadsTheBodyOfAnAnonymousClientWithoutRights) {
  create_repo("me/secret", {.is_private = true});
  std::set<std::string> open;
  int routes = 0;
  for (const http::Router::Route& route : api_.router().routes()) {
    if (!route.opener) continue;
    ++routes;
    std::string path = path_of(route.pattern);
    int status = refusal(route.methods.front(), path);
    if (status == 0) open.insert(path);
    EXPECT_TRUE(status == 0 || status == 401 || status == 403 || status == 404) << path << " " << status;
    if (route.methods.front() != "POST" || path.starts_with("/lfs/")) continue;
    EXPECT_EQ(refusal(route.methods.front(), path, "hf_unknown"), 401) << path;
  }
  EXPECT_GT(routes, 25);
  // The first formats a text for everybody; the second drops the body.
  EXPECT_EQ(open, (std::set<std::string>{"/api/markdown", "/api/validate-yaml"}));
}

TEST_F(RoutesTest, AReaderIsRefusedWhereOnlyWritersMaySend) {
  create_repo("me/public");
  std::string token = store_->users().add_token("reader", false);
  for (const char* path : {"/api/models/me/public/commit/main", "/api/models/me/public/preupload/main",
           "/api/models/me/public/branch/x", "/api/models/me/public/discussions", "/api/repos/create"})
    EXPECT_EQ(refusal("POST", path, token), 403) << path;
  EXPECT_EQ(refusal("PUT", "/api/models/me/public/settings", token), 403);
  EXPECT_EQ(refusal("POST", "/api/models/me/public/paths-info/main"), 0);
}

}  // namespace
}  // namespace depickle::server::api
