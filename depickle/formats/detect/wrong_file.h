// Recognizes files that are not models. These are much more common than damaged models.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "depickle/base/bytes.h"

namespace depickle::detect {

struct WrongFile {
  std::string what;  ///< "a git-LFS pointer (134 bytes) to 548,118,077 bytes"
  std::string hint;  ///< one action for the user; may be empty
};

/// Recognizes a file by its first bytes (up to 1 KiB), its size and its name. Returns nullopt if the content is
/// unknown. Zip archives and pickles are recognized too, for readers of other formats.
std::optional<WrongFile> recognize(Bytes start, uint64_t file_bytes, std::string_view file);

}  // namespace depickle::detect
