#include "depickle/hub/content_hash.h"

#include <algorithm>
#include <array>
#include <new>
#include <span>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace depickle::hub {
namespace {

EVP_MD_CTX* as_context(void* pointer) { return static_cast<EVP_MD_CTX*>(pointer); }

}  // namespace

bool is_content_hash(std::string_view etag) noexcept {
  return (etag.size() == 40 || etag.size() == 64) &&
         std::ranges::all_of(etag, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

void ContentHash::Free::operator()(void* context) const noexcept { EVP_MD_CTX_free(as_context(context)); }

ContentHash::ContentHash(std::string_view etag, uint64_t size_bytes) : context_(EVP_MD_CTX_new()) {
  const bool is_git = etag.size() == 40;
  if (!context_ || EVP_DigestInit_ex(as_context(context_.get()), is_git ? EVP_sha1() : EVP_sha256(), nullptr) != 1)
    throw std::bad_alloc();
  if (!is_git) return;
  std::string head = fmt::format("blob {}", size_bytes);
  head += '\0';
  update(bytes(head));
}

void ContentHash::update(Bytes bytes) { EVP_DigestUpdate(as_context(context_.get()), bytes.data(), bytes.size()); }

std::string ContentHash::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_DigestFinal_ex(as_context(context_.get()), digest.data(), &size);
  std::string out;
  for (unsigned char byte : std::span(digest).first(size)) fmt::format_to(std::back_inserter(out), "{:02x}", byte);
  return out;
}

}  // namespace depickle::hub
