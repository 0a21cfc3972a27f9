// Addresses and tokens that prove themselves: the Hub signs what it hands out, and asks no table when it comes back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace depickle::server::api {

/// HMAC-SHA256 with a key of the data folder, so that an upload survives a restart of the server. Safe to use from several threads.
class Signer {
 public:
  /// Reads the key, or makes one (mode 0600). Throws Error{io}.
  explicit Signer(const std::filesystem::path& data_folder);

  /// 64 hexadecimal digits over `text`.
  std::string signature(std::string_view text) const;
  /// In a time that does not tell how much of it was right.
  bool holds(std::string_view text, std::string_view signature) const;

  /// A bearer token for one purpose and user, until `expires` (seconds since 1970).
  std::string token(std::string_view purpose, std::string_view user, uint64_t expires) const;
  /// Whom such a token names; nobody where it is another's, of another purpose or too old.
  std::optional<std::string> user_of(std::string_view purpose, std::string_view token) const;

 private:
  std::string key_;
};

/// Seconds since 1970.
uint64_t unix_now();

}  // namespace depickle::server::api
