// Compares a safetensors model with its pickle, tensor by tensor, and classifies the differences.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "depickle/base/source.h"
#include "depickle/repo/check.h"
#include "depickle/repo/model_pair.h"

namespace depickle::repo {

/// Opens a file of the repository at one commit; returns nullptr if it does not exist there.
using OpenFile = std::function<std::shared_ptr<const ByteSource>(const std::string& path)>;

/// Compares one pair and adds counts, findings and notes to `check`. `index` is the index of the safetensors; nullptr
/// if they are not sharded or it cannot be parsed. Throws Error if the pickle cannot be read, {limit} if a remote file
/// contains strided tensors too large to be gathered by range requests.
void check_model(Check& check, const ModelPair& pair, const safetensors::Index* index, const OpenFile& open_before,
    const OpenFile& open_after, const CheckOptions& options);

}  // namespace depickle::repo
