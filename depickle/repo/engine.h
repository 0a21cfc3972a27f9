// Reads the content of repository files: convert::Engine plus the comparison of a model with its pickle.
#pragma once

#include "depickle/convert/engine.h"
#include "depickle/repo/tensor_check.h"

namespace depickle::repo {

class Engine : public convert::Engine {
 public:
  /// Same contract as repo::check_model().
  virtual void check_model(Check& check, const ModelPair& pair, const safetensors::Index* index,
      const OpenFile& open_before, const OpenFile& open_after, const CheckOptions& options) = 0;
};

/// Returns the engine that runs in this process.
Engine& local_engine() noexcept;

}  // namespace depickle::repo
