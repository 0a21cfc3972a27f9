// The result of converting one file: names, sizes, digests.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "depickle/base/dtype.h"
#include "depickle/base/unused.h"

namespace depickle::convert {

/// A name that is not stored, but recorded as another name of a stored tensor.
struct Tied {
  std::string name;
  std::string kept;
};

struct DigestedFile {
  std::filesystem::path path;  ///< in a Receipt: relative to the receipt's folder
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

/// One file that was converted, or would be in a dry run.
struct FileReport {
  std::filesystem::path source;
  std::filesystem::path target;
  std::string container;      ///< of the source: "torch zip"
  std::string root;           ///< the part of a nested checkpoint that was converted; empty for the whole
  uint64_t tensors = 0;       ///< number of names in the source, aliases included
  uint64_t identical = 0;     ///< how many of them were compared and are identical; 0 in a dry run
  uint64_t tensor_bytes = 0;  ///< in the target
  uint64_t file_bytes = 0;    ///< of the target
  double seconds = 0;
  std::vector<Tied> tied;
  std::vector<Unused> unused;
  std::vector<Unsupported> unsupported;  ///< tensors that were left out
  std::vector<std::string> notes;
  std::vector<DigestedTensor> contents;  ///< the target's tensors, in file order
  // Empty if digests were not requested, like the digests in `contents`.
  std::vector<DigestedFile> digested_sources;
  std::string target_sha256;
};

/// Returns "57 tensors identical, 53 left out (quantized)", or "56 of 57 tensors identical".
std::string counts_text(std::span<const FileReport> files);

}  // namespace depickle::convert
