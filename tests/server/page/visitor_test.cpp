#include "server/page/visitor.h"

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>

namespace depickle::server::page {
namespace {

class VisitorTest : public testing::Test {
 protected:
  VisitorTest() {
    key_file_ = std::filesystem::temp_directory_path() / ("depickle-visitor-test-" + std::to_string(::getpid()));
    std::filesystem::remove(key_file_);
  }
  ~VisitorTest() override { std::filesystem::remove(key_file_); }

  static http::Request request(const std::string& cookie, const std::string& peer = "192.0.2.1") {
    http::Request request;
    request.peer = peer;
    if (!cookie.empty()) request.fields.add("Cookie", cookie);
    return request;
  }
  /// Returns "depickle=…", or "" if the response sets no cookie.
  static std::string new_cookie(const Visitors& visitors, const http::Request& request) {
    http::Response response;
    visitors.set_cookie(request, response);
    const std::string* field = response.fields.find("Set-Cookie");
    return field ? field->substr(0, field->find(';')) : "";
  }

  std::filesystem::path key_file_;
};

TEST_F(VisitorTest, ACookieIdentifiesTheVisitorAtEveryAddress) {
  const Visitors visitors(key_file_);
  const std::string cookie = new_cookie(visitors, request(""));
  EXPECT_EQ(new_cookie(visitors, request("other=1; " + cookie)), "");
  EXPECT_EQ(visitors.id_of(request(cookie, "192.0.2.1")), visitors.id_of(request(cookie, "192.0.2.2")));
  EXPECT_NE(visitors.id_of(request(cookie)), visitors.id_of(request(new_cookie(visitors, request("")))));
  EXPECT_EQ(Visitors(key_file_).id_of(request(cookie)), visitors.id_of(request(cookie))) << "after a restart";
  struct stat status{};
  ASSERT_EQ(::stat(key_file_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(VisitorTest, ForgedCookiesDoNotCount) {
  const Visitors visitors(key_file_);
  const std::string anonymous = visitors.id_of(request("")), cookie = new_cookie(visitors, request(""));
  std::string changed = cookie;
  changed[10] = changed[10] == 'a' ? 'b' : 'a';
  std::filesystem::remove(key_file_);
  const std::string of_another_key = new_cookie(Visitors(key_file_), request(""));
  for (const std::string& forged : {std::string("depickle=aaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbb"), changed,
           cookie.substr(0, cookie.size() - 1), cookie + "0", cookie.substr(0, cookie.find('.')), of_another_key}) {
    EXPECT_EQ(visitors.id_of(request(forged)), anonymous) << forged;
    EXPECT_NE(new_cookie(visitors, request(forged)), "") << forged;
  }
}

}  // namespace
}  // namespace depickle::server::page
