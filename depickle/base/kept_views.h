// Memory for the views of a remote source.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "depickle/base/bytes.h"

namespace depickle {

/// Keeps the bytes that ByteSource::view() of a remote source returns, at most 256 MiB in total. Thread-safe.
class KeptViews {
 public:
  using Read = std::function<void(uint64_t offset, MutableBytes out)>;
  /// Returns the bytes; reads them on first use. `name` is the source's name in errors. Throws Error{limit} if the
  /// total exceeds 256 MiB, and what `read` throws.
  Bytes view(uint64_t offset, uint64_t length, const std::string& name, const Read& read);

 private:
  std::mutex mutex_;
  std::map<std::pair<uint64_t, uint64_t>, std::vector<std::byte>> views_;  // by offset and length
  uint64_t total_bytes_ = 0;
};

}  // namespace depickle
