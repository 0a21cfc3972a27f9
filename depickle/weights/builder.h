// How a reader fills the table.
#pragma once

#include <string>

#include "depickle/weights/weights.h"

namespace depickle::weights {

/// Collects what a reader found; build() makes it a Weights, or refuses. Only readers (and tests) need it.
class Builder {
 public:
  explicit Builder(std::string container);

  /// Keeps alive what names, shapes, strides and storage keys point into.
  Builder& own(std::shared_ptr<const void> owner);
  Builder& file(std::shared_ptr<const ByteSource> file);
  /// The storage's index, for Tensor::storage.
  uint32_t add_storage(Storage storage);
  /// `tensor.size_bytes` and that every element lies inside its storage are checked here, so a table that exists is right.
  /// Throws Error{malformed} (rule WT01 to WT03), naming the tensor.
  Builder& add(const Tensor& tensor);
  /// Room for text and numbers that live as long as the table.
  Arena& arena() noexcept { return weights_.arena_; }

  Builder& reserve(size_t tensors);
  Builder& container(std::string container);
  Builder& metadata(std::vector<std::pair<std::string, std::string>> metadata);
  Builder& root(std::string path);
  Builder& unused(std::vector<Unused> unused);
  Builder& unsupported(std::vector<Unsupported> unsupported);
  Builder& append_unused(std::span<const Unused> unused, std::span<const Unsupported> unsupported);
  Builder& note(std::string note);

  /// Throws Error{malformed} (WT04) where two tensors have the same name; O(n log n).
  Weights build() &&;
  /// For a reader that has seen to it that no two have.
  Weights build_unique() &&;

 private:
  Weights weights_;
  std::vector<std::shared_ptr<const void>> owners_;
};

}  // namespace depickle::weights
