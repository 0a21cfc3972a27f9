// What became of one file: names, bytes, digests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "depickle/base/dtype.h"
#include "depickle/base/unused.h"

namespace depickle::convert {

/// A name that one side does not hold itself but records as another name of a tensor that it holds.
struct Tied {
  std::string name;
  std::string kept;
};

struct DigestedFile {
  std::filesystem::path path;  ///< in a Receipt: from the receipt's folder, as it is written there
  uint64_t size_bytes = 0;
  std::string sha256;
};

struct DigestedTensor {
  std::string name;
  Dtype dtype = Dtype::U8;
  std::vector<uint64_t> shape;
  uint64_t size_bytes = 0;
  std::string sha256;  ///< of the logical bytes in C order
};

/// One file that was converted, or would be.
struct FileReport {
  std::filesystem::path source;
  std::filesystem::path target;
  std::string container;      ///< of the source: "torch zip"
  std::string root;           ///< the part of a nested checkpoint that was taken; empty for the whole
  uint64_t tensors = 0;       ///< names in the source, aliases included
  uint64_t identical = 0;     ///< of them, proved to be the same bit for bit; 0 where it was only planned
  uint64_t tensor_bytes = 0;  ///< in the target
  uint64_t file_bytes = 0;    ///< of the target
  double seconds = 0;
  std::vector<Tied> tied;  ///< names stored as another
  std::vector<Unused> unused;
  std::vector<Unsupported> skipped;
  std::vector<std::string> notes;
  std::vector<DigestedTensor> contents;  ///< the target's tensors, in the order of their bytes
  // Empty where no digests were asked for; those of `contents` too.
  std::vector<DigestedFile> digested_sources;
  std::string target_sha256;
};

}  // namespace depickle::convert
