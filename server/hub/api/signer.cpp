#include "server/hub/api/signer.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <vector>

#include <fmt/format.h>

#include "depickle/base/error.h"

namespace depickle::server::api {
namespace {

constexpr size_t kKeyBytes = 32;

std::string read_key(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Under its name only when complete: a key cut short by a kill would sign with less than it promises.
void make_key(const std::filesystem::path& path) {
  std::string key(kKeyBytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(key.data()), kKeyBytes) != 1)
    throw Error(Code::io, "", "the system gives no random bytes");
  std::string temporary = path.string() + ".tmp";
  int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) throw system_error(errno, "cannot create", temporary);
  bool written = ::write(fd, key.data(), key.size()) == static_cast<ssize_t>(key.size()) && ::fsync(fd) == 0;
  ::close(fd);
  if (!written || ::rename(temporary.c_str(), path.c_str()) != 0)
    throw system_error(errno, "cannot write", path.string());
}

}  // namespace

Signer::Signer(const std::filesystem::path& data_folder) {
  std::filesystem::path path = data_folder / "signing.key";
  key_ = read_key(path);
  if (key_.size() == kKeyBytes) return;
  make_key(path);
  key_ = read_key(path);
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

bool Signer::holds(std::string_view text, std::string_view signature_) const {
  std::string right = signature(text);
  return right.size() == signature_.size() && ::CRYPTO_memcmp(right.data(), signature_.data(), right.size()) == 0;
}

std::string Signer::token(std::string_view purpose, std::string_view user, uint64_t expires) const {
  std::string claim = fmt::format("{}~{}~{}", purpose, user, expires);
  return claim + "~" + signature(claim);
}

std::optional<std::string> Signer::user_of(std::string_view purpose, std::string_view token) const {
  size_t last = token.rfind('~');
  if (last == std::string_view::npos || !holds(token.substr(0, last), token.substr(last + 1))) return std::nullopt;
  std::string_view claim = token.substr(0, last);
  size_t first = claim.find('~'), second = claim.rfind('~');
  if (first == second || claim.substr(0, first) != purpose) return std::nullopt;
  uint64_t expires = 0;
  std::from_chars(claim.data() + second + 1, claim.data() + claim.size(), expires);
  if (unix_now() >= expires) return std::nullopt;
  return std::string(claim.substr(first + 1, second - first - 1));
}

uint64_t unix_now() { return static_cast<uint64_t>(::time(nullptr)); }

}  // namespace depickle::server::api
