// What a distant source has handed out as views, kept until it goes.
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

/// The memory behind ByteSource::view() where the bytes lie elsewhere: at most 256 MiB in all. From several threads.
class KeptViews {
 public:
  using Read = std::function<void(uint64_t offset, MutableBytes out)>;
  /// The bytes, read on first use. `name` is what errors call the source. Throws Error{limit} beyond the 256 MiB, and what `read` throws.
  Bytes view(uint64_t offset, uint64_t length, const std::string& name, const Read& read);

 private:
  std::mutex mutex_;
  std::map<std::pair<uint64_t, uint64_t>, std::vector<std::byte>> views_;  // by offset and length
  uint64_t total_bytes_ = 0;
};

}  // namespace depickle
