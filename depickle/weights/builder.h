// Builds the table from what a reader found.
#pragma once

#include <string>

#include "depickle/weights/weights.h"

namespace depickle::weights {

/// Collects storages and tensors; build() returns the Weights. Only readers and tests need it.
class Builder {
 public:
  explicit Builder(detect::FileKind kind);

  /// Keeps `owner` alive with the table: names, shapes, strides and storage keys point into it.
  Builder& own(std::shared_ptr<const void> owner);
  Builder& file(std::shared_ptr<const ByteSource> file);
  /// Returns the index of the storage, for Tensor::storage.
  uint32_t add_storage(Storage storage);
  /// Checks `tensor.size_bytes` and that every element is inside its storage. Throws Error{malformed} (rules WT01 to
  /// WT03) with the name of the tensor.
  Builder& add(const Tensor& tensor);
  /// Returns memory for text and numbers that live as long as the table.
  Arena& arena() noexcept { return weights_.arena_; }

  Builder& reserve(size_t tensors);
  Builder& sharded();
  Builder& metadata(std::vector<std::pair<std::string, std::string>> metadata);
  Builder& root(std::string path);
  Builder& unused(std::vector<Unused> unused);
  Builder& unsupported(std::vector<Unsupported> unsupported);
  Builder& append_unused(std::span<const Unused> unused, std::span<const Unsupported> unsupported);
  Builder& note(std::string note);

  /// Throws Error{malformed} (WT04) if two tensors have the same name. O(n log n).
  Weights build() &&;
  /// For a reader that has checked that all names are different.
  Weights build_unique() &&;

 private:
  Weights weights_;
  std::vector<std::shared_ptr<const void>> owners_;
};

}  // namespace depickle::weights
