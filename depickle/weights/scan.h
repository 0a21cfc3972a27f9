// What loading a file would do, whatever container it is.
#pragma once

#include <filesystem>

#include "depickle/torch/scan.h"

namespace depickle::weights {

/// torch::scan of the file at `path`. Besides, what is called tensors-only has been read as a table to the end: a file whose
/// pickle is harmless but whose storages lie is unreadable. Throws Error{not_found, io} where the
/// file cannot be opened; never for what is in it.
torch::Scan scan(const std::filesystem::path& path);
torch::Scan scan(std::shared_ptr<const ByteSource> file);

}  // namespace depickle::weights
