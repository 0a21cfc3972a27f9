// Two models, tensor by tensor: what is not the same, each with the word that fits it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "depickle/base/source.h"
#include "depickle/repo/check.h"
#include "depickle/repo/model_pair.h"

namespace depickle::repo {

/// A file of the repository before or after the change; empty where it does not exist there.
using OpenFile = std::function<std::shared_ptr<const ByteSource>(const std::string& path)>;

/// Compares one pair and adds what it finds to `check`: counts, findings, notes. `index`: that of the safetensors,
/// where it is sharded and parses.
/// Throws Error where the pickle cannot be read, {limit} where a remote file holds strided tensors too large to be
/// gathered from ranges.
void check_model(Check& check, const ModelPair& pair, const safetensors::Index* index, const OpenFile& open_before,
    const OpenFile& open_after, const CheckOptions& options);

}  // namespace depickle::repo
