// What looks into the files of a repository: convert::Engine, and the comparison of a pull request's model with its pickle.
#pragma once

#include "depickle/convert/engine.h"
#include "depickle/repo/tensor_check.h"

namespace depickle::repo {

class Engine : public convert::Engine {
 public:
  /// repo::check_model.
  virtual void check_model(Check& check, const ModelPair& pair, const safetensors::Index* index,
      const OpenFile& open_before, const OpenFile& open_after, const CheckOptions& options) = 0;
};

}  // namespace depickle::repo
