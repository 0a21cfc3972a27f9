#include "depickle/torch/inflate.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <zlib.h>

#include "depickle/base/error.h"
#include "depickle/base/scratch_file.h"
#include "depickle/base/text.h"
#include "depickle/torch/zip_local.h"

namespace depickle::torch {
namespace {

constexpr uint64_t kMostHeapBytes = 1 << 20;

void write_all(int fd, Bytes bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw system_error(errno, "cannot write a temporary file", "/var/tmp");
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
}

}  // namespace

ComputedSource::ComputedSource(std::string name, uint64_t size_bytes, std::function<void(const Sink&)> fill)
    : ByteSource(std::move(name)),
      size_bytes_(size_bytes),
      fill_(std::move(fill)) {}

ComputedSource::~ComputedSource() {
  if (mapped_bytes_ > 0) ::munmap(data_, mapped_bytes_);
}

Bytes ComputedSource::do_view(uint64_t offset, uint64_t length) const {
  std::call_once(once_, [&] { compute(); });
  return {data_ + offset, length};
}

void ComputedSource::compute() const {
  bool on_heap = size_bytes_ <= kMostHeapBytes;
  std::unique_ptr<std::byte[]> heap = on_heap ? std::make_unique_for_overwrite<std::byte[]>(size_bytes_) : nullptr;
  struct File {
    int fd;
    ~File() {
      if (fd >= 0) ::close(fd);
    }
  } file{on_heap ? -1 : open_scratch_file()};

  uint64_t made = 0;
  fill_([&](Bytes piece) {
    if (piece.size() > size_bytes_ - made)
      throw Error(
          Code::malformed, "ZP11", fmt::format("holds more than the {} bytes that it declares", grouped(size_bytes_)))
          .in(name());
    if (on_heap) {
      std::ranges::copy(piece, heap.get() + made);
    } else {
      write_all(file.fd, piece);
    }
    made += piece.size();
  });
  if (made != size_bytes_)
    throw Error(
        Code::malformed, "ZP11", fmt::format("holds {} bytes, declares {}", grouped(made), grouped(size_bytes_)))
        .in(name());

  if (on_heap) {
    heap_ = std::move(heap);
    data_ = heap_.get();
  } else {
    void* data = ::mmap(nullptr, size_bytes_, PROT_READ, MAP_SHARED, file.fd, 0);
    if (data == MAP_FAILED) throw system_error(errno, "cannot map a temporary file", name());
    data_ = static_cast<std::byte*>(data);
    mapped_bytes_ = size_bytes_;
  }
  fill_ = nullptr;
}

std::shared_ptr<const ByteSource> inflated(std::shared_ptr<const ByteSource> archive, const Record& record) {
  std::string name = fmt::format("{} ({})", archive->name(), printable(record.name, 80));
  auto fill = [archive, record, name](const ComputedSource::Sink& sink) {
    z_stream stream{};
    if (::inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
    std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, ::inflateEnd);
    constexpr uint64_t kInput = 1 << 20;
    const uint64_t offset = archive->is_distant() ? check_local(*archive, record).data_offset : record.data_offset;
    const uint64_t stored = record.stored_bytes;
    std::vector<std::byte> out(256 << 10);
    int status = Z_OK;
    for (uint64_t done = 0; status != Z_STREAM_END && done < stored;) {
      Bytes input = archive->view(offset + done, std::min(kInput, stored - done));
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));
      stream.avail_in = static_cast<uInt>(input.size());
      do {
        stream.next_out = reinterpret_cast<Bytef*>(out.data());
        stream.avail_out = static_cast<uInt>(out.size());
        status = ::inflate(&stream, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
          throw Error(Code::malformed, "ZP11", "the deflated bytes are damaged").in(name);
        sink(Bytes(out).first(out.size() - stream.avail_out));
      } while (status == Z_OK && stream.avail_out == 0);
      done += input.size() - stream.avail_in;
      if (status == Z_BUF_ERROR && stream.avail_in == input.size()) break;
    }
    if (status != Z_STREAM_END) throw Error(Code::malformed, "ZP11", "the deflated bytes end too early").in(name);
  };
  return std::make_shared<ComputedSource>(name, record.size_bytes, std::move(fill));
}

std::vector<std::byte> inflate_prefix(Bytes deflated, uint64_t most_bytes) {
  z_stream stream{};
  if (::inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, ::inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(deflated.data()));
  stream.avail_in = static_cast<uInt>(std::min<size_t>(deflated.size(), UINT32_MAX));
  std::vector<std::byte> out;
  std::vector<std::byte> piece(64 << 10);
  int status = Z_OK;
  while (status == Z_OK && out.size() < most_bytes) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    status = ::inflate(&stream, Z_NO_FLUSH);
    out.insert(out.end(), piece.begin(), piece.end() - stream.avail_out);
  }
  return out;
}

std::shared_ptr<const ByteSource> latin1_bytes(
    std::string name, std::string_view text, std::shared_ptr<const void> owner) {
  uint64_t size_bytes = 0;
  for (size_t i = 0; i < text.size(); ++size_bytes) {
    auto lead = static_cast<unsigned char>(text[i]);
    bool two = (lead == 0xc2 || lead == 0xc3) && utf8_sequence(text.substr(i, 2)) == 2;
    if (lead >= 0x80 && !two)
      throw Error(Code::malformed, "PK05", "bytes spelled as text hold a character beyond U+00FF").in(name);
    i += two ? 2 : 1;
  }
  auto fill = [text, owner = std::move(owner)](const ComputedSource::Sink& sink) {
    std::array<std::byte, 64 << 10> piece;
    size_t used = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      auto byte = static_cast<unsigned char>(text[i]);
      if (byte >= 0x80)
        byte = static_cast<unsigned char>((byte & 3) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3f));
      piece[used++] = std::byte{byte};
      if (used == piece.size()) sink(Bytes(piece).first(std::exchange(used, 0)));
    }
    sink(Bytes(piece).first(used));
  };
  return std::make_shared<ComputedSource>(std::move(name), size_bytes, std::move(fill));
}

}  // namespace depickle::torch
