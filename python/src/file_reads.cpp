#include "python/src/file_reads.h"

#include <sys/vfs.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <thread>
#include <vector>

#include "depickle/base/parallel.h"
#include "depickle/os/mapped_file.h"
#include "python/src/errors.h"

namespace depickle::python {
namespace {

using safetensors::ByteRange;

constexpr uint64_t kPieceBytes = 8 << 20;
constexpr unsigned kThreads = 8;  // the threads mostly wait for I/O
constexpr uint64_t kGapBytes = 4096, kWindowBytes = 1 << 20;

std::vector<FileRead> pieces(std::span<const FileRead> reads) {
  std::vector<FileRead> result;
  for (const FileRead& read : reads)
    for (uint64_t begin = 0; begin < read.out.size(); begin += kPieceBytes)
      result.push_back(
          {read.offset + begin, read.out.subspan(begin, std::min<uint64_t>(kPieceBytes, read.out.size() - begin))});
  return result;
}

// Ranges that are read together with the gaps between them.
class Window {
 public:
  explicit Window(ByteRange first) : begin_(first.begin), end_(first.end), ranges_{first} {}

  bool add(ByteRange range) {
    const uint64_t begin = std::min(begin_, range.begin), end = std::max(end_, range.end);
    const bool is_near = range.begin >= end_ ? range.begin - end_ <= kGapBytes : range.end + kGapBytes >= begin_;
    if (!is_near || end - begin > kWindowBytes) return false;
    begin_ = begin;
    end_ = end;
    ranges_.push_back(range);
    return true;
  }

  // Copies the ranges to the start of `out` and returns the rest of `out`.
  MutableBytes read(
      const os::MappedFile& file, uint64_t offset, MutableBytes out, std::vector<std::byte>& buffer) const {
    if (ranges_.size() == 1) {
      FileRead whole{offset + begin_, out.first(end_ - begin_)};
      read_all(file, {&whole, 1});
      return out.subspan(whole.out.size());
    }
    buffer.resize(end_ - begin_);
    file.read(offset + begin_, buffer);
    for (const ByteRange& range : ranges_) {
      std::memcpy(out.data(), buffer.data() + (range.begin - begin_), range.end - range.begin);
      out = out.subspan(range.end - range.begin);
    }
    return out;
  }

 private:
  uint64_t begin_, end_;
  std::vector<ByteRange> ranges_;
};

}  // namespace

void read_all(const os::MappedFile& file, std::span<const FileRead> reads) {
  const std::vector<FileRead> all = pieces(reads);
  const auto caller = std::this_thread::get_id();
  uint64_t bytes = 0;
  for (const FileRead& read : all) bytes += read.out.size();
  const auto threads = static_cast<unsigned>(std::clamp<uint64_t>(bytes / kPieceBytes, 1, kThreads));
  parallel_for(all.size(), threads, [&](uint64_t i) {
    file.read(all[i].offset, all[i].out);
    if (std::this_thread::get_id() == caller && all[i].out.size() == kPieceBytes) check_signals();
  });
}

void read_slice(const os::MappedFile& file, uint64_t offset, const safetensors::Slice& slice, MutableBytes out) {
  std::vector<std::byte> buffer;
  auto ranges = slice.ranges();
  std::optional<ByteRange> next = ranges.next();
  while (next) {
    Window window(*next);
    while ((next = ranges.next()) && window.add(*next)) {
    }
    out = window.read(file, offset, out, buffer);
  }
}

bool prefers_reads(const os::MappedFile& file) noexcept {
  // From linux/magic.h and the headers of the file systems, which are not always installed.
  constexpr uint32_t kTypes[] = {0x6969 /* NFS */, 0xFF534D42 /* CIFS */, 0xFE534D42 /* SMB2 */, 0x517B /* SMB */,
      0x65735546 /* FUSE, virtiofs */, 0x01021997 /* 9p */, 0x0BD00BD0 /* Lustre */, 0x00C36400 /* Ceph */,
      0x5346414F /* AFS */, 0x47504653 /* GPFS */, 0x19830326 /* BeeGFS */, 0xAAD7AAEA /* PanFS */,
      0x6B414653 /* kAFS */};
  struct statfs status;
  return ::fstatfs(file.descriptor(), &status) == 0 &&
         std::ranges::find(kTypes, static_cast<uint32_t>(status.f_type)) != std::end(kTypes);
}

}  // namespace depickle::python
