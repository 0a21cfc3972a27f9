// Content that is not in the file as it is: computed on first use, kept off the heap.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "depickle/base/source.h"

namespace depickle::os {

/// Bytes that are computed once, when first asked for: in memory up to 1 MiB, beyond that in a nameless temporary file
/// that is mapped, so that anonymous memory stays small whatever the size.
class ComputedSource final : public ByteSource {
 public:
  using Sink = std::function<void(Bytes)>;
  /// `fill` hands over exactly `size_bytes` bytes, in pieces; more or fewer are Error{malformed} (ZP11).
  ComputedSource(std::string name, uint64_t size_bytes, std::function<void(const Sink&)> fill);
  ~ComputedSource() override;

  uint64_t size_bytes() const noexcept override { return size_bytes_; }

 private:
  Bytes do_view(uint64_t offset, uint64_t length) const override;
  void compute() const;

  uint64_t size_bytes_;
  mutable std::function<void(const Sink&)> fill_;
  mutable std::once_flag once_;
  mutable std::unique_ptr<std::byte[]> heap_;
  mutable std::byte* data_ = nullptr;
  mutable uint64_t mapped_bytes_ = 0;
};

}  // namespace depickle::os
