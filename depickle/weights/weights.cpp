#include "depickle/weights/weights.h"

#include <mutex>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/weights/gather.h"
#include "depickle/weights/name_order.h"

namespace depickle::weights {
namespace {

using detect::FileKind;

std::string_view container_name(FileKind kind) {
  switch (kind) {
    case FileKind::safetensors: return "safetensors";
    case FileKind::zip: return "torch zip";
    case FileKind::torch_legacy: return "torch legacy";
    case FileKind::tar: return "torch tar";
    default: return "pickle";
  }
}

}  // namespace

struct Weights::NameIndex {
  std::once_flag once;
  std::vector<uint32_t> order;
};

Weights::Weights() : names_(std::make_shared<NameIndex>()) {}

const Weights::NameIndex& Weights::names() const {
  std::call_once(names_->once, [&] { names_->order = sorted_by_name(tensors_); });
  return *names_;
}

const Tensor* Weights::find(std::string_view name) const {
  const std::vector<uint32_t>& order = names().order;
  auto found = std::ranges::lower_bound(order, name, {}, [&](uint32_t index) { return tensors_[index].name; });
  return found != order.end() && tensors_[*found].name == name ? &tensors_[*found] : nullptr;
}

const Tensor& Weights::at(std::string_view name) const {
  if (const Tensor* found = find(name)) return *found;
  throw Error(Code::not_found, "",
      fmt::format("no tensor is named {} (the file has {})", quoted(name), plural(tensors_.size(), "tensor")),
      Where::in(files_.empty() ? "" : files_.front()->name()));
}

Bytes Weights::view(const Tensor& tensor) const {
  if (!tensor.is_contiguous())
    throw Error(Code::unsupported, "",
        "the file does not contain the tensor's bytes in C order (strides, conjugation or byte order); use read()",
        Where::of(tensor.name));
  const Storage& from = storage(tensor);
  return from.source->view(from.offset_bytes + tensor.offset_bytes, tensor.size_bytes);
}

void Weights::read(const Tensor& tensor, uint64_t begin, MutableBytes out) const {
  if (begin > tensor.size_bytes || out.size() > tensor.size_bytes - begin) {
    throw Error(Code::truncated, "",
        fmt::format("bytes {} to {} are outside the tensor (it has {})", begin, begin + out.size(), tensor.size_bytes),
        Where::of(tensor.name));
  }
  const Storage& from = storage(tensor);
  if (tensor.is_contiguous()) {
    from.source->read(from.offset_bytes + tensor.offset_bytes + begin, out);
  } else {
    gather(tensor, from.bytes(), begin, out);
  }
}

std::string Weights::container() const { return std::string(container_name(kind_)) + (is_sharded_ ? ", sharded" : ""); }

}  // namespace depickle::weights
