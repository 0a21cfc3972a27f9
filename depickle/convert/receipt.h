// A receipt: the files and tensors of a conversion with their digests, as JSON that `verify` can check again.
//
//   { "schema": "depickle.receipt/1",
//     "tool": {"name": "depickle", "version": "0.1.0"},
//     "conversions": [{
//       "sources": [{"file": "pytorch_model.bin", "bytes": 548, "sha256": "…"}],     relative to the receipt's folder
//       "target":   {"file": "model.safetensors", "bytes": 544, "sha256": "…"},
//       "container": "torch zip", "root": "state_dict",
//       "tensors": [{"name": "a", "dtype": "F32", "shape": [2], "bytes": 8, "sha256": "…"}],  of the bytes in C order
//       "aliases": [{"name": "b", "kept": "a"}],
//       "leftovers": [{"path": "epoch", "description": "int 3"}],
//       "skipped": [{"name": "q", "what": "quantized"}] }],
//     "indexes": [{"file": "model.safetensors.index.json", "bytes": 90, "sha256": "…"}] }
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/json.h"
#include "depickle/convert/report.h"
#include "depickle/os/atomic_file.h"

namespace depickle::convert {

inline constexpr std::string_view kReceiptSchema = "depickle.receipt/1";

struct Conversion {
  std::vector<DigestedFile> sources;
  DigestedFile target;
  std::string container;
  std::string root;
  std::vector<DigestedTensor> tensors;
  std::vector<Tied> aliases;
  std::vector<Unused> unused;
  std::vector<Unsupported> unsupported;
};

struct Receipt {
  std::string version;  ///< of the program that wrote it
  std::vector<Conversion> conversions;
  std::vector<DigestedFile> indexes;
};

/// Parses a receipt, which may be hostile. Throws Error{malformed} with the member that is missing or wrong,
/// Error{unsupported} for another schema version, Error{limit} for more than 1 GiB.
Receipt parse_receipt(std::string_view json);
/// Does the same for a file; errors contain its name.
Receipt read_receipt(const std::filesystem::path& path);

/// Writes a receipt, one conversion at a time, with a buffer of about 1 MiB.
class ReceiptWriter {
 public:
  /// Throws as AtomicFile. The receipt gets its name in commit().
  ReceiptWriter(const std::filesystem::path& path, os::IfExists if_exists);

  /// Adds a conversion with its digests. `root` is the option that opens the same part of the source again.
  void add(const FileReport& report, std::string_view root);
  /// Call after the last conversion.
  void commit(std::span<const DigestedFile> indexes, os::Durable durable = os::Durable::yes);

 private:
  void write_file(const DigestedFile& file);
  void flush(size_t min_bytes);

  os::AtomicFile file_;
  std::filesystem::path folder_;  ///< canonical
  uint64_t written_bytes_ = 0;
  std::string text_;
  JsonWriter json_{text_};
};

}  // namespace depickle::convert
