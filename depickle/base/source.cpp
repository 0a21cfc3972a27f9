#include "depickle/base/source.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/error.h"

namespace depickle {

void ByteSource::check_range(uint64_t offset, uint64_t length) const {
  if (offset <= size_bytes() && length <= size_bytes() - offset) return;
  throw Error(Code::truncated, "",
      fmt::format("the file ends too early (have {} bytes, need {} from byte {})", size_bytes(), length, offset),
      Where::in(name_));
}

Bytes ByteSource::view(uint64_t offset, uint64_t length) const {
  check_range(offset, length);
  return do_view(offset, length);
}

void ByteSource::read(uint64_t offset, MutableBytes out) const {
  check_range(offset, out.size());
  do_read(offset, out);
}

void ByteSource::do_read(uint64_t offset, MutableBytes out) const {
  std::ranges::copy(do_view(offset, out.size()), out.begin());
}

}  // namespace depickle
