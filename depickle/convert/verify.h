// Checks a receipt again.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "depickle/base/parallel.h"
#include "depickle/base/progress.h"

namespace depickle::convert {

/// Something that differs from the receipt.
struct Mismatch {
  std::string file;    ///< as in the receipt
  std::string tensor;  ///< empty if it concerns the whole file
  std::string what;    ///< "the file is missing", "sha256 is …, the receipt says …"
};

struct Verification {
  uint64_t files = 0;    ///< number of files whose digest was computed
  uint64_t tensors = 0;  ///< number of tensors whose digest was computed
  std::vector<Mismatch> mismatches;
  std::vector<std::string> notes;  ///< what could not be checked: "pytorch_model.bin does not exist: …"

  bool passed() const noexcept { return mismatches.empty(); }
};

class Engine;

struct VerifyOptions {
  unsigned threads = default_threads();
  Progress progress = {};
  Engine* engine = nullptr;  ///< reads the tensors; nullptr: local_engine(). Not owned
};

/// Checks everything that the receipt contains: sizes and digests of all files, digests of all tensors, and, if the
/// source still exists, source against target bit for bit. A missing source is a note, a missing target a mismatch.
/// This process computes the digests of files; the engine reads their tensors. Throws Error if the receipt cannot be
/// read, Error{cancelled} from the listener, Error{unsupported} if the engine cannot start.
Verification verify(const std::filesystem::path& receipt, const VerifyOptions& options = {});

}  // namespace depickle::convert
