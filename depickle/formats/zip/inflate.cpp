#include "depickle/formats/zip/inflate.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <zlib.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/zip/local_header.h"
#include "depickle/os/computed_source.h"

namespace depickle::zip {

std::shared_ptr<const ByteSource> inflated(const std::shared_ptr<const ByteSource>& archive, const Record& record) {
  std::string name = fmt::format("{} ({})", archive->name(), printable(record.name, 80));
  auto fill = [archive, record, name](const os::ComputedSource::Sink& sink) {
    z_stream stream{};
    if (::inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
    std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, ::inflateEnd);
    constexpr uint64_t kInputBytes = 1 << 20;
    const uint64_t offset = archive->is_remote() ? check_local(*archive, record).data_offset : record.data_offset;
    const uint64_t stored = record.stored_bytes;
    std::vector<std::byte> out(256 << 10);
    int status = Z_OK;
    for (uint64_t done = 0; status != Z_STREAM_END && done < stored;) {
      Bytes input = archive->view(offset + done, std::min(kInputBytes, stored - done));
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));
      stream.avail_in = static_cast<uInt>(input.size());
      do {
        stream.next_out = reinterpret_cast<Bytef*>(out.data());
        stream.avail_out = static_cast<uInt>(out.size());
        status = ::inflate(&stream, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
          throw Error(Code::malformed, "ZP11", "the deflated data is corrupt").in(name);
        sink(Bytes(out).first(out.size() - stream.avail_out));
      } while (status == Z_OK && stream.avail_out == 0);
      done += input.size() - stream.avail_in;
      if (status == Z_BUF_ERROR && stream.avail_in == input.size()) break;
    }
    if (status != Z_STREAM_END) throw Error(Code::malformed, "ZP11", "the deflated data ends too early").in(name);
  };
  return std::make_shared<os::ComputedSource>(name, record.size_bytes, "ZP11", std::move(fill));
}

std::vector<std::byte> inflate_prefix(Bytes deflated, uint64_t max_bytes) {
  z_stream stream{};
  if (::inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  std::unique_ptr<z_stream, int (*)(z_stream*)> guard(&stream, ::inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(deflated.data()));
  stream.avail_in = static_cast<uInt>(std::min<size_t>(deflated.size(), UINT32_MAX));
  std::vector<std::byte> out;
  std::vector<std::byte> piece(64 << 10);
  int status = Z_OK;
  while (status == Z_OK && out.size() < max_bytes) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    status = ::inflate(&stream, Z_NO_FLUSH);
    out.insert(out.end(), piece.begin(), piece.end() - stream.avail_out);
  }
  return out;
}

}  // namespace depickle::zip
