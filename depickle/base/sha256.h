// SHA-256 (FIPS 180-4), computed by OpenSSL.
#pragma once

#include <memory>
#include <string>

#include "depickle/base/bytes.h"

namespace depickle {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(Bytes bytes);
  /// Returns the digest as 64 lower-case hexadecimal digits. The object cannot be used afterwards.
  std::string hex();

 private:
  struct Free {
    void operator()(void* context) const noexcept;
  };
  std::unique_ptr<void, Free> context_;
};

std::string sha256_hex(Bytes bytes);

}  // namespace depickle
