#include "depickle/hub/http.h"

#include <gmock/gmock.h>

#include "tests/hub/made_hub.h"

namespace depickle::hub {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kInfo =
    fmt::format(R"({{"id":"me/demo","sha":"{}","private":true,"gated":"auto","library_name":"diffusers",
  "siblings":[{{"rfilename":"a/b.bin"}}]}})",
        kCommit);

std::string text_of(const Error& error) { return std::string(error.what()) + " | " + error.hint(); }

TEST(Http, ReadsRepositoryInfo) {
  ScriptedHub hub([](const Seen&) { return reply(200, kInfo); });
  const RepoInfo info = Client(quick(hub)).info(kRepo, "refs/pr/1");
  EXPECT_EQ(info.commit, kCommit);
  EXPECT_TRUE(info.is_private && info.is_gated);
  EXPECT_EQ(info.files, std::vector<std::string>{"a/b.bin"});
  EXPECT_EQ(hub.seen()[0].target, "/api/models/me/demo/revision/refs%2Fpr%2F1");
}

TEST(Http, DistinguishesErrorsOfTheHub) {
  struct Case {
    int status;
    std::string_view code;
    Code expected;
    std::string_view text;
  };
  for (const Case& one : {Case{404, "RepoNotFound", Code::not_found, "private"},
           Case{401, "RepoNotFound", Code::not_found, "hf auth login"},
           Case{404, "RevisionNotFound", Code::not_found, "revision does not exist"},
           Case{404, "EntryNotFound", Code::not_found, "file does not exist"},
           Case{403, "GatedRepo", Code::denied, "gated"}, Case{401, "", Code::denied, "hf auth login"},
           Case{403, "", Code::denied, "does not allow"}, Case{409, "", Code::network, "read it again"},
           Case{412, "", Code::network, "moved"}, Case{413, "", Code::limit, "too large"},
           Case{416, "", Code::integrity, "shorter"}, Case{429, "", Code::network, "too many"},
           Case{500, "", Code::network, "unavailable"}, Case{503, "", Code::network, "unavailable"},
           Case{400, "", Code::malformed, "refuses"}}) {
    ScriptedHub hub([&](const Seen&) { return refusal_reply(one.status, one.code, "because"); });
    Settings settings = quick(hub);
    settings.retry_policy.max_retries = 1;
    const Error error = error_of([&] { Client(settings).info(kRepo); });
    EXPECT_EQ(error.code(), one.expected) << one.status << one.code;
    EXPECT_THAT(text_of(error), HasSubstr(std::string(one.text)));
    EXPECT_THAT(text_of(error), HasSubstr("because"));
    EXPECT_EQ(error.where().file, "hf://me/demo");
  }
}

TEST(Http, ReportsConflicts) {
  ScriptedHub hub([](const Seen&) { return refusal_reply(412, ""); });
  try {
    Client(quick(hub)).info(kRepo);
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_TRUE(failure.is_conflict());
    EXPECT_EQ(hub.count("GET"), 1u);
  }
}

TEST(Http, RetriesTransientErrors) {
  for (int status : {408, 429, 500, 502, 503, 504}) {
    std::atomic<int> asked = 0;
    ScriptedHub hub([&](const Seen&) { return ++asked < 3 ? reply(status, "later") : reply(200, kInfo); });
    EXPECT_EQ(Client(quick(hub)).info(kRepo).commit, kCommit) << status;
    EXPECT_EQ(asked, 3);
  }
}

TEST(Http, GivesUpAfterTheMaximumOfRetries) {
  ScriptedHub hub([](const Seen&) { return reply(503); });
  EXPECT_EQ(error_of([&] { Client(quick(hub)).info(kRepo); }).code(), Code::network);
  EXPECT_EQ(hub.count("GET"), 6u);
}

TEST(Http, WaitsAsLongAsTheHubAsks) {
  for (std::string_view header : {"Retry-After: 0\r\n", "RateLimit: \"api\";r=0;t=0\r\n"}) {
    std::atomic<int> asked = 0;
    ScriptedHub hub([&](const Seen&) { return ++asked == 1 ? reply(429, "", header) : reply(200, kInfo); });
    const auto begin = std::chrono::steady_clock::now();
    Client(quick(hub)).info(kRepo);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1)) << header;
  }
}

TEST(Http, DoesNotWaitLongerThanTheMaximum) {
  ScriptedHub hub([](const Seen&) { return reply(429, "", "Retry-After: 3600\r\n"); });
  EXPECT_EQ(error_of([&] { Client(quick(hub)).info(kRepo); }).code(), Code::network);
  EXPECT_EQ(hub.count("GET"), 1u);
}

TEST(Http, RecoversFromAConnectionLostAtAnyByte) {
  const Reply whole = reply(200, kInfo);
  for (size_t at = 0; at < whole.bytes.size(); ++at) {
    std::atomic<int> asked = 0;
    ScriptedHub hub([&](const Seen&) { return ++asked == 1 ? cut(whole, at) : whole; });
    EXPECT_EQ(Client(quick(hub)).info(kRepo).commit, kCommit) << at;
    EXPECT_GE(asked, 2) << at;
  }
}

TEST(Http, TimesOutIfTheHubStopsResponding) {
  for (std::string bytes : {std::string(), std::string("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")}) {
    ScriptedHub hub([&](const Seen&) { return Reply{bytes, Reply::Then::hang}; });
    Settings settings = quick(hub);
    settings.response_timeout = settings.stall_timeout = std::chrono::milliseconds(150);
    settings.retry_policy.max_retries = 1;
    const Error error = error_of([&] { Client(settings).info(kRepo); });
    EXPECT_EQ(error.code(), Code::network);
    EXPECT_THAT(error.what(), HasSubstr("stopped responding"));
  }
}

TEST(Http, IsCancelledWhileItWaits) {
  ScriptedHub hub([](const Seen&) { return Reply{"", Reply::Then::hang}; });
  Settings settings = quick(hub);
  settings.check_cancelled = [n = 0]() mutable {
    if (++n > 2) throw Error(Code::cancelled, "", "stopped");
  };
  EXPECT_EQ(error_of([&] { Client(settings).info(kRepo); }).code(), Code::cancelled);
}

TEST(Http, RefusesEverythingOffline) {
  ScriptedHub hub([](const Seen&) { return reply(200, kInfo); });
  Settings settings = quick(hub);
  settings.offline = true;
  EXPECT_THAT(refusal([&] { Client(settings).info(kRepo); }), HasSubstr("offline mode is on"));
  EXPECT_TRUE(hub.seen().empty());
}

TEST(Http, SendsTheTokenOnlyToTheHub) {
  ScriptedHub elsewhere([](const Seen&) { return reply(200, kInfo); });
  ScriptedHub hub([&](const Seen&) { return reply(302, "", fmt::format("Location: {}/there\r\n", elsewhere.url())); });
  Settings settings = quick(hub);
  settings.token = "hf_secret";
  Client(settings).info(kRepo);
  EXPECT_EQ(hub.seen()[0].header("authorization"), "Bearer hf_secret");
  EXPECT_EQ(elsewhere.seen()[0].target, "/there");
  EXPECT_EQ(elsewhere.seen()[0].header("authorization"), "");
}

TEST(Http, SendsTheTokenAfterARedirectToTheHub) {
  ScriptedHub hub([](const Seen& seen) {
    return seen.target == "/api/models/new/name" ? reply(200, kInfo)
                                                 : reply(307, "", "Location: /api/models/new/name\r\n");
  });
  Settings settings = quick(hub);
  settings.token = "hf_secret";
  EXPECT_EQ(Client(settings).info(kRepo).commit, kCommit);
  EXPECT_EQ(hub.seen()[1].header("authorization"), "Bearer hf_secret");
}

TEST(Http, NeverShowsTheToken) {
  ScriptedHub hub([](const Seen& seen) {
    return reply(400, fmt::format("{{\"error\":\"bad {}\"}}", seen.header("authorization")),
        fmt::format("X-Error-Message: {}\r\n", seen.header("authorization")));
  });
  Settings settings = quick(hub);
  settings.token = "hf_secret";
  std::string traced;
  settings.trace = [&](std::string_view line) { traced += line; };
  EXPECT_THAT(text_of(error_of([&] { Client(settings).info(kRepo); })), Not(HasSubstr("hf_secret")));
  EXPECT_THAT(traced, HasSubstr("-> 400"));
  EXPECT_THAT(traced, Not(HasSubstr("hf_secret")));
}

TEST(Http, RefusesEndlessRedirects) {
  ScriptedHub circle(
      [](const Seen& seen) { return reply(302, "", seen.target == "/b" ? "Location: /c\r\n" : "Location: /b\r\n"); });
  EXPECT_THAT(refusal([&] { Client(quick(circle)).info(kRepo); }), HasSubstr("in a circle"));
  std::atomic<int> n = 0;
  ScriptedHub endless([&](const Seen&) { return reply(302, "", fmt::format("Location: /{}\r\n", ++n)); });
  EXPECT_THAT(refusal([&] { Client(quick(endless)).info(kRepo); }), HasSubstr("more than 20 times"));
  EXPECT_EQ(n, 21);
}

TEST(Http, RefusesRedirectsToOtherSchemes) {
  for (std::string_view target : {"file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:password@127.0.0.1/"}) {
    ScriptedHub hub([&](const Seen&) { return reply(302, "", fmt::format("Location: {}\r\n", target)); });
    EXPECT_THAT(refusal([&] { Client(quick(hub)).info(kRepo); }), HasSubstr("not an http or https URL")) << target;
  }
}

TEST(Http, LimitsResponses) {
  ScriptedHub error([](const Seen&) { return reply(400, std::string(1 << 20, 'x')); });
  EXPECT_LT(refusal([&] { Client(quick(error)).info(kRepo); }).size(), 1000u);
  ScriptedHub headers([](const Seen&) {
    std::string many;
    for (int i = 0; i < 20'000; ++i) many += fmt::format("X-{}: {}\r\n", i, std::string(20, 'x'));
    return reply(200, kInfo, many);
  });
  Settings settings = quick(headers);
  settings.retry_policy.max_retries = 0;
  EXPECT_EQ(error_of([&] { Client(settings).info(kRepo); }).code(), Code::network);
  ScriptedHub answer([](const Seen&) { return reply(200, std::string((64 << 20) + 1, ' ')); });
  EXPECT_EQ(error_of([&] { Client(quick(answer)).info(kRepo); }).code(), Code::limit);
}

TEST(Http, RefusesInvalidResponses) {
  for (std::string_view body : {"", "<html>", "[]", "{}", R"({"sha":"main"})", R"({"sha":"0123"})", "{"}) {
    ScriptedHub hub([&](const Seen&) { return reply(200, body); });
    EXPECT_EQ(error_of([&] { Client(quick(hub)).info(kRepo); }).code(), Code::malformed) << body;
  }
  ScriptedHub hub([](const Seen&) { return reply(200, kInfo); });
  Settings settings = quick(hub);
  settings.endpoint = "ftp://x";
  EXPECT_EQ(error_of([&] { Client client(settings); }).code(), Code::malformed);
}

}  // namespace
}  // namespace depickle::hub
