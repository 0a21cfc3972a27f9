// The content of deflated records.
#pragma once

#include <memory>
#include <vector>

#include "depickle/base/source.h"

namespace depickle::zip {

struct Record;

/// The content of a deflated record (RFC 1951), of exactly record.size_bytes.
std::shared_ptr<const ByteSource> inflated(std::shared_ptr<const ByteSource> archive, const Record& record);

/// As much as can be inflated of a deflate stream that begins here, at most `max_bytes`: for looking into damaged archives.
std::vector<std::byte> inflate_prefix(Bytes deflated, uint64_t max_bytes);

}  // namespace depickle::zip
