#include "server/base/signer.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <time.h>

#include <charconv>
#include <fstream>

#include <fmt/format.h>

#include "depickle/base/bytes.h"
#include "depickle/base/error.h"
#include "depickle/os/file_descriptor.h"
#include "server/base/random_id.h"
#include "server/base/sync.h"

namespace depickle::server {
namespace {

constexpr size_t kKeyBytes = 32;

std::string read_key(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Writes the key to a temporary file first: a kill must not leave a key that is too short.
void create_key(const std::filesystem::path& path) {
  const std::string key = random_bytes(kKeyBytes);
  std::string temporary = path.string() + ".tmp";
  os::FileDescriptor file = os::open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600, "cannot create");
  os::write_all(file.get(), bytes(key), temporary);
  sync_and_rename(file.get(), temporary, path);
}

}  // namespace

Signer::Signer(const std::filesystem::path& key_file) : key_(read_key(key_file)) {
  if (key_.size() == kKeyBytes) return;
  create_key(key_file);
  key_ = read_key(key_file);
}

std::string Signer::signature(std::string_view text) const {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  ::HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()), reinterpret_cast<const unsigned char*>(text.data()),
      text.size(), digest, &length);
  std::string out;
  for (unsigned i = 0; i < length; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

bool Signer::is_valid(std::string_view text, std::string_view signature_) const {
  std::string expected = signature(text);
  return expected.size() == signature_.size() &&
         ::CRYPTO_memcmp(expected.data(), signature_.data(), expected.size()) == 0;
}

std::string Signer::token(std::string_view purpose, std::string_view user, uint64_t expires) const {
  std::string claim = fmt::format("{}~{}~{}", purpose, user, expires);
  return claim + "~" + signature(claim);
}

std::optional<std::string> Signer::user_of(std::string_view purpose, std::string_view token) const {
  size_t last = token.rfind('~');
  if (last == std::string_view::npos || !is_valid(token.substr(0, last), token.substr(last + 1))) return std::nullopt;
  std::string_view claim = token.substr(0, last);
  size_t first = claim.find('~'), second = claim.rfind('~');
  if (first == second || claim.substr(0, first) != purpose) return std::nullopt;
  uint64_t expires = 0;
  std::from_chars(claim.data() + second + 1, claim.data() + claim.size(), expires);
  if (unix_now() >= expires) return std::nullopt;
  return std::string(claim.substr(first + 1, second - first - 1));
}

uint64_t unix_now() { return static_cast<uint64_t>(::time(nullptr)); }

}  // namespace depickle::server
