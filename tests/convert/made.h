// Builds small Weights for tests.
#pragma once

#include <string>
#include <vector>

#include "depickle/weights/builder.h"
#include "tests/error_of.h"
#include "tests/temporary_folder.h"

namespace depickle::convert {

/// Weights with storages of pseudo-random bytes, 64 KiB by default, and tensors in them.
class Made {
 public:
  explicit Made(size_t storage_bytes = 64 << 10) : builder_(detect::FileKind::pickle) {
    auto bytes = std::make_shared<std::vector<std::byte>>(storage_bytes);
    uint32_t state = 1;
    for (std::byte& byte : *bytes) byte = static_cast<std::byte>((state = state * 1664525u + 1013904223u) >> 24);
    bytes_ = bytes;
    add_storage();
  }

  /// Adds a storage with the same bytes, for the tensors that are added next.
  Made& add_storage() {
    auto source = std::make_shared<MemorySource>("made", *bytes_, bytes_);
    storage_ = builder_.add_storage({.key = "0", .source = source, .offset_bytes = 0, .size_bytes = bytes_->size()});
    return *this;
  }

  Made& add(std::string_view name, Dtype dtype, std::vector<uint64_t> shape, std::vector<uint64_t> strides = {},
      uint64_t offset_bytes = 0) {
    return add_tensor(name, {.offset_bytes = offset_bytes, .dtype = dtype}, std::move(shape), std::move(strides));
  }
  /// Adds a tensor with the flags, dtype and offset of `like`.
  Made& add_tensor(
      std::string_view name, Tensor like, std::vector<uint64_t> shape, std::vector<uint64_t> strides = {}) {
    like.name = builder_.arena().copy(name);
    like.shape = builder_.arena().copy(std::span<const uint64_t>(shape));
    like.strides = builder_.arena().copy(std::span<const uint64_t>(strides));
    like.size_bytes = tensor_bytes(like.dtype, shape).value();
    like.storage = storage_;
    builder_.add(like);
    return *this;
  }

  std::vector<std::byte>& bytes() { return *bytes_; }
  weights::Builder& builder() { return builder_; }
  Weights build() { return std::move(builder_).build(); }

 private:
  weights::Builder builder_;
  std::shared_ptr<std::vector<std::byte>> bytes_;
  uint32_t storage_ = 0;
};

}  // namespace depickle::convert
