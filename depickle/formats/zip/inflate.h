// Inflates records.
#pragma once

#include <memory>
#include <vector>

#include "depickle/base/source.h"

namespace depickle::zip {

struct Record;

/// Returns the content of a deflated record (RFC 1951). Reading it throws Error{malformed} (ZP11) if the data is
/// corrupt or the content does not have record.size_bytes.
std::shared_ptr<const ByteSource> inflated(const std::shared_ptr<const ByteSource>& archive, const Record& record);

/// Inflates the start of a deflate stream, up to `max_bytes` or the first error. For searching damaged archives.
std::vector<std::byte> inflate_prefix(Bytes deflated, uint64_t max_bytes);

}  // namespace depickle::zip
