// A receipt proved again.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "depickle/base/parallel.h"
#include "depickle/base/progress.h"

namespace depickle::convert {

/// Something that is not as the receipt says.
struct Flaw {
  std::string file;    ///< as the receipt names it
  std::string tensor;  ///< empty where the file as a whole is meant
  std::string what;    ///< "the file is missing", "sha256 is …, the receipt says …"
};

struct Verification {
  uint64_t files = 0;    ///< whose digests were computed again
  uint64_t tensors = 0;  ///< whose digests were
  std::vector<Flaw> flaws;
  std::vector<std::string> notes;  ///< what could not be looked at: "pytorch_model.bin is not here: …"

  bool proven() const noexcept { return flaws.empty(); }
};

struct VerifyOptions {
  unsigned threads = default_threads();
  Progress progress = {};
};

/// Reads everything that the receipt names: digests and sizes of all files, of every tensor, and, where the source is still there,
/// source against target bit by bit. A source that is gone is a note, a target that is gone is a flaw.
/// Throws Error where the receipt itself cannot be read, and {cancelled} from the listener.
Verification verify(const std::filesystem::path& receipt, const VerifyOptions& options = {});

}  // namespace depickle::convert
