// Content that is computed from a file (inflated, decoded) on first use and is not kept on the heap.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "depickle/base/source.h"

namespace depickle::os {

class ScratchSpace;

/// Content that is computed once, on the first read. Up to 1 MiB it is on the heap, above that in a mapped unnamed
/// temporary file, which bounds anonymous memory.
class ComputedSource final : public ByteSource {
 public:
  using Sink = std::function<void(Bytes)>;
  /// `fill` passes exactly `size_bytes` bytes to its sink, in pieces; any other size is Error{malformed} of `rule`.
  ComputedSource(std::string name, uint64_t size_bytes, std::string rule, std::function<void(const Sink&)> fill);
  ~ComputedSource() override;

  uint64_t size_bytes() const noexcept override { return size_bytes_; }

 private:
  Bytes do_view(uint64_t offset, uint64_t length) const override;
  void compute() const;

  uint64_t size_bytes_;
  std::string rule_;
  mutable std::function<void(const Sink&)> fill_;
  mutable std::once_flag once_;
  mutable std::unique_ptr<std::byte[]> heap_;
  mutable std::unique_ptr<ScratchSpace> scratch_;
  mutable const std::byte* data_ = nullptr;
};

}  // namespace depickle::os
