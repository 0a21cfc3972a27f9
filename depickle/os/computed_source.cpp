#include "depickle/os/computed_source.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/os/scratch_file.h"

namespace depickle::os {
namespace {

constexpr uint64_t kMaxHeapBytes = 1 << 20;

}  // namespace

ComputedSource::ComputedSource(
    std::string name, uint64_t size_bytes, std::string rule, std::function<void(const Sink&)> fill)
    : ByteSource(std::move(name)),
      size_bytes_(size_bytes),
      rule_(std::move(rule)),
      fill_(std::move(fill)) {}

ComputedSource::~ComputedSource() = default;

Bytes ComputedSource::do_view(uint64_t offset, uint64_t length) const {
  std::call_once(once_, [&] { compute(); });
  return {data_ + offset, length};
}

void ComputedSource::compute() const {
  const bool is_on_heap = size_bytes_ <= kMaxHeapBytes;
  std::unique_ptr<std::byte[]> heap = is_on_heap ? std::make_unique_for_overwrite<std::byte[]>(size_bytes_) : nullptr;
  std::unique_ptr<ScratchSpace> scratch = is_on_heap ? nullptr : std::make_unique<ScratchSpace>(size_bytes_);

  uint64_t filled_bytes = 0;
  fill_([&](Bytes piece) {
    if (piece.size() > size_bytes_ - filled_bytes)
      throw Error(Code::malformed, rule_,
          fmt::format("the content is larger than declared (more than {} bytes)", grouped(size_bytes_)),
          Where::in(name()));
    if (is_on_heap) {
      std::ranges::copy(piece, heap.get() + filled_bytes);
    } else {
      scratch->write(filled_bytes, piece);
    }
    filled_bytes += piece.size();
  });
  if (filled_bytes != size_bytes_)
    throw Error(Code::malformed, rule_,
        fmt::format("the content is smaller than declared (has {} bytes, declares {})", grouped(filled_bytes),
            grouped(size_bytes_)),
        Where::in(name()));

  data_ = is_on_heap ? heap.get() : scratch->map().data();
  heap_ = std::move(heap);
  scratch_ = std::move(scratch);
  fill_ = nullptr;
}

}  // namespace depickle::os
