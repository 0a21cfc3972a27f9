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

/// The tensors of a torch file. All names, shapes and strides point into `owner`.
struct Table {
  detect::FileKind kind{};  ///< zip, torch_legacy, tar, pickle or plain_pickle
  std::string root;         ///< the part that contains the model; empty for the whole checkpoint
  std::vector<Tensor> tensors;
  std::vector<Storage> storages;
  std::vector<Unused> unused;
  std::vector<Unsupported> unsupported;
  std::vector<std::string> notes;
  std::shared_ptr<const void> owner;
};

/// Reads the tensors of a torch file or a pickle; detect::file_kind() decides which. Memory use depends on the number
/// of tensors, not on declared sizes. Throws Error{malformed, truncated, unsupported, limit, not_found} with the rule
/// (docs/formats/torch.md), and detect::not_a_model() if the file is of another kind.
Table read_table(std::shared_ptr<const ByteSource> source, const TableOptions& options = {});

}  // namespace depickle::torch
