// git-lfs pointers: the small text that git stores in place of a large file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace depickle::server::git {

struct LfsPointer {
  std::string oid;  ///< SHA-256, 64 lower-case hexadecimal digits
  uint64_t size_bytes = 0;
};

constexpr uint64_t kMaxPointerBytes = 1024;

/// Returns nullopt if `blob` is not a pointer.
std::optional<LfsPointer> parse_pointer(std::string_view blob);
std::string pointer_text(const LfsPointer& pointer);

}  // namespace depickle::server::git
