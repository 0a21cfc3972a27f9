// The table of a torch file: names → tensors over its bytes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "depickle/base/error.h"
#include "depickle/base/tensor.h"
#include "depickle/base/unused.h"
#include "depickle/formats/detect/file_kind.h"

namespace depickle::torch {

struct TableOptions {
  /// See weights::OpenOptions.
  std::string root;
  uint64_t expand_limit_bytes = uint64_t{64} << 20;
};

/// What a torch file holds. Everything points into `owner` and the storages' sources.
struct Table {
  detect::FileKind kind{};  ///< zip, torch_legacy, tar, pickle or plain_pickle
  std::string root;         ///< the part that was taken; empty for the whole
  std::vector<Tensor> tensors;
  std::vector<Storage> storages;
  std::vector<Unused> unused;
  std::vector<Unsupported> unsupported;
  std::vector<std::string> notes;
  std::shared_ptr<const void> owner;
};

/// Reads the table of a torch file or a bare pickle; detect::file_kind() decides which. Throws Error{malformed, truncated,
/// unsupported, limit, not_found} with the place and the rule (docs/formats/torch.md), and detect::not_a_model() for
/// files of other kinds. Memory depends on the number of tensors, never on a size that the file claims.
Table read_table(std::shared_ptr<const ByteSource> source, const TableOptions& options = {});

}  // namespace depickle::torch
