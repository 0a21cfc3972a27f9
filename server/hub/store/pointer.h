// Pointers of git-lfs: the small text that stands in git for a large file. Inside the store only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/hub/store/repo.h"

namespace depickle::server {

constexpr uint64_t kMaxPointerBytes = 1024;

/// Nothing where `blob` is any other content.
std::optional<LfsPointer> parse_pointer(std::string_view blob);
std::string pointer_text(const LfsPointer& pointer);

}  // namespace depickle::server
