#include "depickle/weights/builder.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/weights/name_order.h"

namespace depickle::weights {
namespace {

[[noreturn]] void malformed(const Tensor& tensor, std::string_view rule, std::string what) {
  throw Error(Code::malformed, rule, std::move(what), Where::of(tensor.name));
}

// Returns one past the last byte that the view uses, from the start of the storage. Throws (WT02) if the sum overflows.
uint64_t end_bytes(const Tensor& tensor) {
  if (tensor.size_bytes == 0) return 0;
  uint64_t last = 0;
  bool overflow = false;
  for (size_t i = 0; i < tensor.shape.size() && !tensor.strides.empty(); ++i) {
    uint64_t units = i + 1 == tensor.shape.size() && bits(tensor.dtype) == 4 ? tensor.shape[i] / 2 : tensor.shape[i];
    uint64_t reach = 0;
    overflow |=
        __builtin_mul_overflow(units - 1, tensor.strides[i], &reach) || __builtin_add_overflow(last, reach, &last);
  }
  uint64_t end = tensor.size_bytes;
  if (!tensor.strides.empty())
    overflow |= __builtin_add_overflow(last, 1, &last) || __builtin_mul_overflow(last, unit_bytes(tensor.dtype), &end);
  overflow |= __builtin_add_overflow(end, tensor.offset_bytes, &end);
  if (overflow)
    malformed(tensor, "WT02", fmt::format("strides [{}] reach beyond 2^64 bytes", fmt::join(tensor.strides, ", ")));
  return end;
}

}  // namespace

Builder::Builder(detect::FileKind kind) { weights_.kind_ = kind; }

Builder& Builder::own(std::shared_ptr<const void> owner) {
  owners_.push_back(std::move(owner));
  return *this;
}

Builder& Builder::file(std::shared_ptr<const ByteSource> file) {
  weights_.files_.push_back(std::move(file));
  return *this;
}

uint32_t Builder::add_storage(Storage storage) {
  weights_.storages_.push_back(std::move(storage));
  return static_cast<uint32_t>(weights_.storages_.size() - 1);
}

Builder& Builder::add(const Tensor& tensor) {
  if (!tensor.strides.empty() && tensor.strides.size() != tensor.shape.size())
    malformed(tensor, "WT01", fmt::format("{} strides for {} dimensions", tensor.strides.size(), tensor.shape.size()));
  if (tensor_bytes(tensor.dtype, tensor.shape) != tensor.size_bytes)
    malformed(tensor, "WT01",
        fmt::format("shape [{}] of {} is not a whole number of bytes below 2^61", fmt::join(tensor.shape, ", "),
            name(tensor.dtype)));
  const Storage& storage = weights_.storages_.at(tensor.storage);
  if (uint64_t end = end_bytes(tensor); end > storage.size_bytes) {
    malformed(tensor, "WT03",
        fmt::format("shape [{}], strides [{}] and offset {} reach outside storage {} (have {} bytes, need {})",
            fmt::join(tensor.shape, ", "), fmt::join(tensor.strides, ", "), tensor.offset_bytes,
            quoted(storage.key, 64), storage.size_bytes, end));
  }
  weights_.tensors_.push_back(tensor);
  return *this;
}

Builder& Builder::reserve(size_t tensors) {
  weights_.tensors_.reserve(tensors);
  return *this;
}
Builder& Builder::sharded() {
  weights_.is_sharded_ = true;
  return *this;
}
Builder& Builder::metadata(std::vector<std::pair<std::string, std::string>> metadata) {
  weights_.metadata_ = std::move(metadata);
  return *this;
}
Builder& Builder::root(std::string path) {
  weights_.root_ = std::move(path);
  return *this;
}
Builder& Builder::unused(std::vector<Unused> unused) {
  weights_.unused_ = std::move(unused);
  return *this;
}
Builder& Builder::unsupported(std::vector<Unsupported> unsupported) {
  weights_.unsupported_ = std::move(unsupported);
  return *this;
}
Builder& Builder::append_unused(std::span<const Unused> unused, std::span<const Unsupported> unsupported) {
  weights_.unused_.insert(weights_.unused_.end(), unused.begin(), unused.end());
  weights_.unsupported_.insert(weights_.unsupported_.end(), unsupported.begin(), unsupported.end());
  return *this;
}
Builder& Builder::note(std::string note) {
  weights_.notes_.push_back(std::move(note));
  return *this;
}

Weights Builder::build() && {
  std::vector<uint32_t> order = sorted_by_name(weights_.tensors_);
  auto name_of = [&](uint32_t index) { return weights_.tensors_[index].name; };
  if (auto repeated = std::ranges::adjacent_find(order, {}, name_of); repeated != order.end())
    malformed(weights_.tensors_[*repeated], "WT04", "two tensors have this name");
  return std::move(*this).build_unique();
}

Weights Builder::build_unique() && {
  weights_.owner_ = std::make_shared<std::vector<std::shared_ptr<const void>>>(std::move(owners_));
  return std::move(weights_);
}

}  // namespace depickle::weights
