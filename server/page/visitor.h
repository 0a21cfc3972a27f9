// Identifies the visitor.
#pragma once

#include <filesystem>
#include <string>

#include "server/base/signer.h"
#include "server/http/message.h"

namespace depickle::server::page {

/// Issues and checks the cookies of visitors. A cookie is signed, so that a client cannot take the id of another
/// visitor or choose ids freely. Safe to use from several threads.
class Visitors {
 public:
  /// Reads the key in this file, or creates one. Throws Error{io}.
  explicit Visitors(const std::filesystem::path& key_file) : signer_(key_file) {}

  /// Returns the id of the visitor: a hash of the cookie, or of the client's address if there is no valid cookie.
  std::string id_of(const http::Request& request) const;
  /// Adds a cookie to the response if the request has no valid one.
  void set_cookie(const http::Request& request, http::Response& response) const;

 private:
  /// Returns the value of the cookie, or "" if there is none with a valid signature.
  std::string_view cookie_of(const http::Request& request) const;

  Signer signer_;
};

}  // namespace depickle::server::page
