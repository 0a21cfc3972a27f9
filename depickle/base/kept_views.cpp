#include "depickle/base/kept_views.h"

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"

namespace depickle {
namespace {

constexpr uint64_t kMaxBytes = 256 << 20;

}  // namespace

Bytes KeptViews::view(uint64_t offset, uint64_t length, const std::string& name, const Read& read) {
  {
    std::scoped_lock lock(mutex_);
    if (auto found = views_.find({offset, length}); found != views_.end()) return found->second;
    if (length > kMaxBytes - total_bytes_)
      throw Error(Code::limit, "",
          fmt::format("reading this file needs {} more memory ({} available)", human_bytes(length),
              human_bytes(kMaxBytes - total_bytes_)),
          Where::in(name), "download the file first");
    total_bytes_ += length;
  }
  std::vector<std::byte> bytes;
  try {
    bytes.resize(length);
    read(offset, bytes);
  } catch (...) {
    std::scoped_lock lock(mutex_);
    total_bytes_ -= length;
    throw;
  }
  std::scoped_lock lock(mutex_);
  const auto [kept, is_new] = views_.try_emplace({offset, length}, std::move(bytes));
  if (!is_new) total_bytes_ -= length;
  return kept->second;
}

}  // namespace depickle
