#include "depickle/os/computed_source.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/os/file_descriptor.h"
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

ComputedSource::~ComputedSource() {
  if (mapped_bytes_ > 0) ::munmap(data_, mapped_bytes_);
}

Bytes ComputedSource::do_view(uint64_t offset, uint64_t length) const {
  std::call_once(once_, [&] { compute(); });
  return {data_ + offset, length};
}

void ComputedSource::compute() const {
  const bool is_on_heap = size_bytes_ <= kMaxHeapBytes;
  std::unique_ptr<std::byte[]> heap = is_on_heap ? std::make_unique_for_overwrite<std::byte[]>(size_bytes_) : nullptr;
  FileDescriptor file(is_on_heap ? -1 : open_scratch_file());

  uint64_t filled_bytes = 0;
  fill_([&](Bytes piece) {
    if (piece.size() > size_bytes_ - filled_bytes)
      throw Error(Code::malformed, rule_,
          fmt::format("the content is larger than declared (more than {} bytes)", grouped(size_bytes_)),
          Where::in(name()));
    if (is_on_heap) {
      std::ranges::copy(piece, heap.get() + filled_bytes);
    } else {
      write_all(file.get(), piece, "a temporary file");
    }
    filled_bytes += piece.size();
  });
  if (filled_bytes != size_bytes_)
    throw Error(Code::malformed, rule_,
        fmt::format("the content is smaller than declared (has {} bytes, declares {})", grouped(filled_bytes),
            grouped(size_bytes_)),
        Where::in(name()));

  if (is_on_heap) {
    heap_ = std::move(heap);
    data_ = heap_.get();
  } else {
    void* data = ::mmap(nullptr, size_bytes_, PROT_READ, MAP_SHARED, file.get(), 0);
    if (data == MAP_FAILED) throw system_error(errno, "cannot map a temporary file", name());
    data_ = static_cast<std::byte*>(data);
    mapped_bytes_ = size_bytes_;
  }
  fill_ = nullptr;
}

}  // namespace depickle::os
