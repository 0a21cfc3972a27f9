// Error texts for files of another kind than expected. Users meet these far more often than damaged models.
#pragma once

#include <optional>
#include <string>

#include "depickle/base/error.h"
#include "depickle/base/source.h"

namespace depickle::detect {

struct Description {
  std::string what;  ///< "a git-LFS pointer (134 bytes) to 548,118,077 bytes"
  std::string hint;  ///< one action; may be empty
};

/// Returns what the file is, for readers of safetensors files and indexes. nullopt if it could be what they expect
/// (safetensors, JSON), if its kind is unknown, or if only a weak sign says that it is a pickle (protocols 0 and 1).
std::optional<Description> describe(const ByteSource& file);

/// Returns the error for a file that no reader of models reads: Error{truncated} if it is empty, else
/// Error{unsupported}.
Error not_a_model(const ByteSource& file);

}  // namespace depickle::detect
