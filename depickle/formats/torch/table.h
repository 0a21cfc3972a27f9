// The table of a torch file: names → tensors over its bytes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "depickle/base/error.h"
#include "depickle/base/tensor.h"
#include "depickle/base/unused.h"

namespace depickle::torch {

struct TableOptions {
  /// See weights::OpenOptions.
  std::string root;
  uint64_t expand_limit_bytes = uint64_t{64} << 20;
};

/// The tensors of a torch file. All names, shapes and strides point into `owner`.
struct Table {
  std::string container;
  std::string root;  ///< the part that contains the model; empty for the whole checkpoint
  std::vector<Tensor> tensors;
  std::vector<Storage> storages;
  std::vector<Unused> unused;
  std::vector<Unsupported> unsupported;
  std::vector<std::string> notes;
  std::shared_ptr<const void> owner;
};

/// A file format, as sniff() recognizes it.
enum class Format { torch_zip, torch_legacy, torch_tar, pickle, safetensors, other };

/// Returns the format of a file by its first 512 bytes (fewer if the file is shorter). The name is not considered.
Format sniff(Bytes head);

/// Reads the tensors of a torch file or a pickle. Memory use depends on the number of tensors, not on declared sizes.
/// Throws Error{malformed, truncated, unsupported, limit, not_found} with the rule (docs/formats/torch.md).
Table read_table(std::shared_ptr<const ByteSource> source, const TableOptions& options = {});

/// Returns an Error{unsupported}, or Error{truncated} for an empty file, that names what the file is: an archive, a web
/// page, a git-LFS pointer, another format.
Error not_a_model(const ByteSource& source);

}  // namespace depickle::torch
