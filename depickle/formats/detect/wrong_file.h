// What a file seems to be that is no model: people meet these far more often than broken models.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "depickle/base/bytes.h"

namespace depickle::detect {

struct WrongFile {
  std::string what;  ///< "a git-LFS pointer (134 bytes) to 548,118,077 bytes"
  std::string hint;  ///< what a person can do; may be empty
};

/// From the first bytes (up to 1 KiB), the size of the whole and its name. Empty where the content is not recognised. Zip
/// archives and pickles are named too, for readers that take neither.
std::optional<WrongFile> recognize(Bytes start, uint64_t file_bytes, std::string_view file);

}  // namespace depickle::detect
