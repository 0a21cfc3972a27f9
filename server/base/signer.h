// Signs addresses, tokens and cookies, so that the server can check them without storing them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace depickle::server {

/// HMAC-SHA256 with a key in a file, so that signatures survive a restart. Safe to use from several threads.
class Signer {
 public:
  /// Reads the key, or creates one (mode 0600). Throws Error{io}.
  explicit Signer(const std::filesystem::path& key_file);

  /// Returns the signature of `text`: 64 hexadecimal digits.
  std::string signature(std::string_view text) const;
  /// Compares in constant time.
  bool is_valid(std::string_view text, std::string_view signature) const;

  /// Returns a bearer token for one purpose and user, valid until `expires` (seconds since 1970).
  std::string token(std::string_view purpose, std::string_view user, uint64_t expires) const;
  /// Returns the user of a token; nullopt if the token is not valid, has another purpose or has expired.
  std::optional<std::string> user_of(std::string_view purpose, std::string_view token) const;

 private:
  std::string key_;
};

/// Seconds since 1970.
uint64_t unix_now();

}  // namespace depickle::server
