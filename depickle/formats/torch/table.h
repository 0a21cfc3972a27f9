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

/// What a torch file holds. Everything points into `owner` and the storages' sources.
struct Table {
  std::string container;
  std::string root;  ///< the part that was taken; empty for the whole
  std::vector<Tensor> tensors;
  std::vector<Storage> storages;
  std::vector<Unused> unused;
  std::vector<Unsupported> unsupported;
  std::vector<std::string> notes;
  std::shared_ptr<const void> owner;
};

/// What the first bytes of a file say it is.
enum class Format { torch_zip, torch_legacy, torch_tar, pickle, safetensors, something_else };

/// By content, never by name: `head` is the first 512 bytes (fewer where the file is shorter).
Format sniff(Bytes head);

/// The table of a file that sniff() calls torch's or a pickle. Throws Error{malformed, truncated, unsupported, limit, not_found}
/// with the place and the rule (docs/formats/torch.md). Memory follows the number of tensors, never a size that the file claims.
Table read_table(std::shared_ptr<const ByteSource> source, const TableOptions& options = {});

/// Error{unsupported, truncated, malformed} that says what a file is that no reader takes: an archive, a web page, a git-LFS
/// pointer, another format, with a hint.
Error not_a_model(const ByteSource& source);

}  // namespace depickle::torch
