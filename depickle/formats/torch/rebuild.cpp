#include "depickle/formats/torch/rebuild.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/pickle/describe.h"

namespace depickle::torch {
namespace {

using pickle::Handle;
using pickle::NodeKind;

// TT01. The builders that are not listed have no required arguments.
void check_count(BuilderFunction builder, size_t count) {
  struct Signature {
    BuilderFunction builder;
    size_t min_count;
    std::string_view name;
  };
  using enum BuilderFunction;
  constexpr Signature kSignatures[] = {{tensor, 4, "_rebuild_tensor"}, {tensor_v2, 6, "_rebuild_tensor_v2"},
      {tensor_v3, 7, "_rebuild_tensor_v3"}, {parameter, 1, "_rebuild_parameter"},
      {parameter_with_state, 1, "_rebuild_parameter_with_state"},
      {cpu_tensor, 1, "_rebuild_device_tensor_from_cpu_tensor"}, {from_type_v2, 3, "_rebuild_from_type_v2"},
      {from_type, 3, "_rebuild_from_type"}, {qtensor, 5, "_rebuild_qtensor"}, {sparse, 2, "_rebuild_sparse_tensor"},
      {sparse_csr, 4, "_rebuild_sparse_csr_tensor"}, {nested, 4, "_rebuild_nested_tensor"},
      {from_numpy, 2, "_rebuild_device_tensor_from_numpy"}, {load_from_bytes, 1, "_load_from_bytes"}};
  auto found = std::ranges::find(kSignatures, builder, &Signature::builder);
  if (found != std::end(kSignatures) && count < found->min_count)
    fail("TT01", fmt::format("{} has {} arguments (needs {})", found->name, count, found->min_count));
}

Rebuilt unsupported(std::string what, std::vector<std::pair<std::string, Handle>> parts = {}) {
  return {.kind = RebuiltKind::unsupported, .tensor = {}, .what = std::move(what), .parts = std::move(parts)};
}

using Parts = std::vector<std::pair<std::string, Handle>>;

// Returns the entries of a dict with str keys. Returns none if the dict is larger than that of any tensor subclass,
// because many tensors may refer to the same dict.
Parts named_parts(const pickle::Graph& graph, Handle dict) {
  constexpr size_t kMaxParts = 256;
  Parts parts;
  if (graph.kind(dict) != NodeKind::dict || graph.children(dict).size() > 2 * kMaxParts) return parts;
  for (const auto& [key, value] : graph.entries(graph.children(dict)))
    if (auto name = graph.text(key)) parts.emplace_back(*name, value);
  return parts;
}

// TT05: every element is inside its storage, or inside the view of it that an old file names. `strides` may be empty,
// for C order. `element` is the unit of `shape`, `strides` and `offset`.
void check_inside(const StorageView& storage, const ElementType& element, std::span<const uint64_t> shape,
    std::span<const uint64_t> strides, uint64_t offset) {
  if (std::ranges::find(shape, 0u) != shape.end()) return;
  uint64_t last = offset, stride = 1, end_bytes = 0;
  bool overflows = false;
  for (size_t i = shape.size(); i-- > 0;) {
    uint64_t reach = 0;
    overflows |= __builtin_mul_overflow(shape[i] - 1, strides.empty() ? stride : strides[i], &reach);
    overflows |= __builtin_add_overflow(last, reach, &last);
    if (strides.empty()) overflows |= __builtin_mul_overflow(stride, shape[i], &stride);
  }
  overflows |= __builtin_add_overflow(last, uint64_t{1}, &last);
  overflows |= __builtin_mul_overflow(last, uint64_t{element.bytes}, &end_bytes);
  if (overflows || end_bytes > storage.size_bytes)
    fail("TT05",
        fmt::format("shape [{}]{} of {} at element {} reaches outside its storage (have {} bytes, need {})",
            fmt::join(shape, ", "), strides.empty() ? "" : fmt::format(", strides [{}]", fmt::join(strides, ", ")),
            element.name, offset, grouped(storage.size_bytes), overflows ? "more than 2^64" : grouped(end_bytes)));
}

Rebuilt no_data(std::string what) {
  return {.kind = RebuiltKind::no_data, .tensor = {}, .what = std::move(what), .parts = {}};
}

}  // namespace

std::vector<uint64_t> Rebuilder::sizes_of(Handle handle, std::string_view what) {
  // torch.Size(...) and a list are also accepted.
  if (auto object = graph_.object(handle)) {
    Args args = graph_.children(object->args);
    if (graph_.is_global(object->callable, "torch", "Size") && args.size() == 1) handle = args[0];
  }
  if (graph_.kind(handle) != NodeKind::tuple && graph_.kind(handle) != NodeKind::list)
    fail("TT02", fmt::format("{} is not a tuple (got {})", what, describe(graph_, handle)));
  Args items = graph_.children(handle);
  if (items.size() > kMaxDimensions)
    throw Error(
        Code::limit, "TT02", fmt::format("{} has {} dimensions (at most {})", what, items.size(), kMaxDimensions));
  std::vector<uint64_t> sizes;
  for (Handle item : items) {
    auto size = graph_.integer(item);
    if (!size || *size < 0 || *size > (int64_t{1} << 62))
      fail("TT02", fmt::format("{} contains {} (expected an int from 0 to 2^62)", what, describe(graph_, item)));
    sizes.push_back(static_cast<uint64_t>(*size));
  }
  return sizes;
}

std::string Rebuilder::shape_text(Handle handle) {
  try {
    return fmt::format(", shape [{}]", fmt::join(sizes_of(handle, "shape"), ", "));
  } catch (const Error&) {
    return {};
  }
}

bool Rebuilder::is_tensor(Handle handle) {
  try {
    return rebuild(handle).kind != RebuiltKind::other;
  } catch (const Error&) {
    return true;  // a malformed tensor; Flattener::walk() reports the error
  }
}

Rebuilt Rebuilder::rebuild(Handle handle, int depth) {
  if (depth > kMaxBuilderDepth)
    throw Error(Code::limit, "TT03", fmt::format("builders are nested more than {} deep", kMaxBuilderDepth));
  if (graph_.kind(handle) == NodeKind::persistent) {
    if (auto placed = contents_.tensors.find(handle); placed != contents_.tensors.end())
      return placed_tensor(placed->second);
    const StorageView* storage = contents_.find_view(handle);
    return storage ? whole_storage(*storage) : Rebuilt{};
  }
  auto object = graph_.object(handle);
  return object ? rebuild_object(*object, depth) : Rebuilt{};
}

Rebuilt Rebuilder::rebuild_object(const pickle::Object& object, int depth) {
  const pickle::Global* global = graph_.global(object.callable);
  if (!global) return {};
  auto builder = find_builder(*global);
  if (!builder) return {};
  return call(*builder, graph_.children(object.args), object, depth);
}

Rebuilt Rebuilder::call(BuilderFunction builder, Args args, const pickle::Object& object, int depth) {
  auto optional = [&](size_t i) { return i < args.size() ? args[i] : pickle::kNothing; };
  check_count(builder, args.size());
  switch (builder) {
    case BuilderFunction::tensor: return strided_tensor(args, nullptr, pickle::kNothing);
    case BuilderFunction::tensor_v2: return strided_tensor(args, nullptr, optional(6));
    case BuilderFunction::tensor_v3: return typed_tensor(args);
    case BuilderFunction::parameter:
    case BuilderFunction::parameter_with_state:
    case BuilderFunction::cpu_tensor: return rebuild(args[0], depth + 1);
    case BuilderFunction::variable: return parameter(object, depth);
    case BuilderFunction::from_type_v2:
    case BuilderFunction::from_type: return from_type(args, depth);
    case BuilderFunction::old_tensor: {
      // Before torch 0.2: FloatTensor() with the state (storage, offset, size, stride).
      Args state = object.state == pickle::kNothing ? Args() : graph_.tuple(object.state, 4);
      return state.empty() ? Rebuilt{} : strided_tensor(state, nullptr, pickle::kNothing);
    }
    case BuilderFunction::qtensor: return quantized(args);
    case BuilderFunction::sparse: return sparse(args);
    case BuilderFunction::sparse_csr:
      return unsupported("sparse" + shape_text(args[3]), {{"0", args[0]}, {"1", args[1]}, {"2", args[2]}});
    case BuilderFunction::nested:
      return unsupported(
          "nested", {{"buffer", args[0]}, {"sizes", args[1]}, {"strides", args[2]}, {"offsets", args[3]}});
    case BuilderFunction::jagged: return jagged(args.empty() ? graph_.root() : args[0]);
    case BuilderFunction::wrapper:
      return unsupported(
          "a tensor subclass without a storage of its own" + (args.size() > 2 ? shape_text(args[2]) : ""));
    case BuilderFunction::meta:
      return no_data("meta tensor without data" + (args.size() > 1 ? shape_text(args[1]) : ""));
    case BuilderFunction::uninitialized: return no_data("uninitialized parameter without data");
    case BuilderFunction::from_numpy: return from_numpy(args, depth);
    case BuilderFunction::load_from_bytes: return whole_storage(nested_storage(args[0], depth));
    case BuilderFunction::numpy_reconstruct: return numpy_array(object);
    case BuilderFunction::numpy_frombuffer: return numpy_buffer(args);
    case BuilderFunction::ordered_dict:
    case BuilderFunction::dict_like:
    case BuilderFunction::copyreg_reconstructor:
    case BuilderFunction::codecs_encode: return {};
  }
  return {};
}

// _rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype[, metadata])
Rebuilt Rebuilder::typed_tensor(Args args) {
  const pickle::Global* dtype = graph_.global(args[6]);
  const ElementType* element = dtype && dtype->module == "torch" ? find_dtype_object(dtype->name) : nullptr;
  if (!element) fail("TT04", fmt::format("{} is not a dtype", describe(graph_, args[6])));
  return strided_tensor(args, element, args.size() > 7 ? args[7] : pickle::kNothing);
}

// _rebuild_sparse_tensor(layout, data); data is (indices, values, size[, is_coalesced]) or three tensors and a size.
Rebuilt Rebuilder::sparse(Args args) {
  Args data = graph_.children(args[1]);
  if (data.size() < 3) return unsupported("sparse");
  bool has_flag = data.size() >= 4 && graph_.kind(data[3]) == NodeKind::boolean;
  bool is_coo = data.size() == 3 || (data.size() == 4 && has_flag);
  Rebuilt rebuilt = unsupported("sparse" + shape_text(data[data.size() >= 4 && !has_flag ? 3 : 2]));
  if (is_coo) {
    rebuilt.parts = {{"indices", data[0]}, {"values", data[1]}};
  } else {
    rebuilt.parts = {{"0", data[0]}, {"1", data[1]}, {"2", data[2]}};
  }
  return rebuilt;
}

Rebuilt Rebuilder::jagged(Handle state) {
  Rebuilt rebuilt = unsupported("nested (jagged)");
  for (auto& [name, value] : named_parts(graph_, state)) {
    if (name == "values" || name == "offsets" || name == "lengths") rebuilt.parts.emplace_back(std::move(name), value);
  }
  return rebuilt;
}

// _rebuild_device_tensor_from_numpy(array, dtype, device, requires_grad)
Rebuilt Rebuilder::from_numpy(Args args, int depth) {
  Rebuilt array = rebuild(args[0], depth + 1);
  const pickle::Global* dtype = graph_.global(args[1]);
  const ElementType* element = dtype ? find_dtype_object(dtype->name) : nullptr;
  if (array.kind != RebuiltKind::tensor || (element && element->dtype == array.tensor.dtype)) return array;
  return unsupported(
      fmt::format("{} saved as {} by another device", element ? element->name : "a tensor", name(array.tensor.dtype)));
}

// torch.nn.Parameter and Variable: NEWOBJ or REDUCE with the data as argument or in the state.
Rebuilt Rebuilder::parameter(const pickle::Object& object, int depth) {
  Args args = graph_.children(object.args);
  if (!args.empty()) return rebuild(args[0], depth + 1);
  if (object.state == pickle::kNothing) return {};
  // Tensor.__setstate__: a state of 4 elements is a tensor, one of 5 is a variable, which contains its data.
  if (Args state = graph_.tuple(object.state, 4); !state.empty())
    return strided_tensor(state, nullptr, pickle::kNothing);
  if (Args state = graph_.tuple(object.state, 5); !state.empty()) return rebuild(state[0], depth + 1);
  return {};
}

// (func, type, args, state). The result is a tensor only if func is a builder.
Rebuilt Rebuilder::from_type(Args args, int depth) {
  if (depth > kMaxBuilderDepth)
    throw Error(Code::limit, "TT03", fmt::format("builders are nested more than {} deep", kMaxBuilderDepth));
  pickle::Object inner{.made_by = pickle::Op::REDUCE, .callable = args[0], .args = args[2], .items = {}, .pairs = {}};
  Rebuilt rebuilt = rebuild_object(inner, depth + 1);
  if (rebuilt.kind == RebuiltKind::unsupported && rebuilt.parts.empty() && args.size() > 3) {
    // The inner tensors of a wrapper are in its state: a dict, or (dict, dict of slots).
    Args both = graph_.tuple(args[3], 2);
    for (Handle state : both.empty() ? Args(&args[3], 1) : both)
      std::ranges::move(named_parts(graph_, state), std::back_inserter(rebuilt.parts));
  }
  return rebuilt;
}

Rebuilt Rebuilder::strided_tensor(Args args, const ElementType* element, Handle metadata) {
  StorageView storage = storage_of(args[0]);
  Rebuilt rebuilt = view_tensor(storage, element ? *element : *storage.element, args[1], args[2], args[3]);
  if (metadata == pickle::kNothing || rebuilt.kind != RebuiltKind::tensor || graph_.kind(metadata) == NodeKind::none)
    return rebuilt;
  if (graph_.kind(metadata) != NodeKind::dict)
    fail("TT02", fmt::format("metadata is {}, not a dict", describe(graph_, metadata)));
  constexpr size_t kMaxMetadata = 256;  // many tensors may refer to the same dict
  if (const size_t entries = graph_.children(metadata).size() / 2; entries > kMaxMetadata)
    throw Error(
        Code::limit, "TT02", fmt::format("metadata has {} entries (at most {})", grouped(entries), kMaxMetadata));
  for (const auto& [key, value] : graph_.entries(graph_.children(metadata))) {
    bool is_set = graph_.integer(value) == 1;
    if (graph_.text(key) == "conj") rebuilt.tensor.conjugate = is_set;
    if (graph_.text(key) == "neg") rebuilt.tensor.negate = is_set;
  }
  return rebuilt;
}

PlacedTensor Rebuilder::geometry(
    const StorageView& storage, const ElementType& element, Handle offset, Handle size, Handle stride) {
  std::vector<uint64_t> shape = sizes_of(size, "shape"), strides = sizes_of(stride, "stride");
  auto first = graph_.integer(offset);
  if (!first || *first < 0)
    fail("TT02", fmt::format("the storage offset is {} (expected an int from 0)", describe(graph_, offset)));
  if (shape.size() != strides.size())
    fail("TT02", fmt::format("stride has {} dimensions, but shape has {}", strides.size(), shape.size()));
  PlacedTensor placed{storage, std::move(shape), std::move(strides), static_cast<uint64_t>(*first)};
  placed.storage.element = &element;
  return placed;
}

PlacedTensor Rebuilder::place(Handle storage, const ElementType* element, Handle offset, Handle size, Handle stride) {
  StorageView view = storage_of(storage);
  PlacedTensor placed = geometry(view, element ? *element : *view.element, offset, size, stride);
  check_inside(placed.storage, *placed.storage.element, placed.shape, placed.strides, placed.offset);
  return placed;
}

Rebuilt Rebuilder::view_tensor(
    const StorageView& storage, const ElementType& element, Handle offset, Handle size, Handle stride) {
  if (!element.dtype) return unsupported(fmt::format("{}{}", element.name, shape_text(size)));
  return placed_tensor(geometry(storage, element, offset, size, stride));
}

Rebuilt Rebuilder::placed_tensor(const PlacedTensor& placed) {
  if (!placed.storage.element->dtype) return unsupported(std::string(placed.storage.element->name));
  Rebuilt rebuilt{.kind = RebuiltKind::tensor, .tensor = {}, .what = {}, .parts = {}};
  set_geometry(rebuilt.tensor, placed.storage, *placed.storage.element, placed.shape, placed.strides, placed.offset);
  return rebuilt;
}

Rebuilt Rebuilder::whole_storage(const StorageView& storage) {
  if (!storage.element->dtype) return unsupported(fmt::format("storage of {}", storage.element->name));
  Rebuilt rebuilt{.kind = RebuiltKind::tensor, .tensor = {}, .what = {}, .parts = {}};
  uint64_t numel = storage.size_bytes / storage.element->bytes;
  set_geometry(rebuilt.tensor, storage, *storage.element, {&numel, 1}, {}, 0);
  return rebuilt;
}

void Rebuilder::set_geometry(Tensor& tensor, const StorageView& storage, const ElementType& element,
    std::span<const uint64_t> shape, std::span<const uint64_t> strides, uint64_t offset_units) {
  std::vector<uint64_t> logical(shape.begin(), shape.end());
  tensor.dtype = *element.dtype;
  // float4_e2m1fn_x2 counts bytes; safetensors counts values, two in each byte.
  if (tensor.dtype == Dtype::F4) {
    if (logical.empty() || __builtin_mul_overflow(logical.back(), uint64_t{2}, &logical.back()))
      fail("TT02", "a float4 tensor needs a last dimension");
  }
  auto size_bytes = tensor_bytes(tensor.dtype, logical);
  uint64_t offset_bytes = 0;
  if (!size_bytes || __builtin_mul_overflow(offset_units, uint64_t{unit_bytes(tensor.dtype)}, &offset_bytes) ||
      __builtin_add_overflow(offset_bytes, storage.offset_bytes, &offset_bytes))
    fail("TT05", fmt::format("shape [{}] of {} overflows", fmt::join(shape, ", "), element.name));
  if (*size_bytes > std::max(storage.size_bytes, expand_limit_bytes_)) {
    throw Error(Code::limit, "TT06",
        fmt::format("shape [{}] of {} needs {} bytes, its storage has {}", fmt::join(shape, ", "), element.name,
            grouped(*size_bytes), grouped(storage.size_bytes)),
        {}, "the view repeats the bytes of a small storage; raise the limit if this is intended");
  }
  check_inside(storage, element, shape, strides, offset_units);
  if (*size_bytes == 0) offset_bytes = std::min(offset_bytes, storage.offset_bytes + storage.size_bytes);
  tensor.shape = arena_.copy(std::span<const uint64_t>(logical));
  tensor.strides = is_c_order(tensor.dtype, logical, strides) ? std::span<const uint64_t>() : arena_.copy(strides);
  tensor.offset_bytes = offset_bytes;
  tensor.size_bytes = *size_bytes;
  tensor.storage = storage.storage;
  tensor.swap = contents_.big_endian && unit_bytes(tensor.dtype) > 1;
}

Rebuilt Rebuilder::quantized(Args args) {
  StorageView storage = storage_of(args[0]);
  Rebuilt rebuilt = unsupported(fmt::format("quantized {}{}", storage.element->name, shape_text(args[2])));
  if (Args parameters = graph_.tuple(args[4], 4); !parameters.empty())
    rebuilt.parts = {{"scales", parameters[1]}, {"zero_points", parameters[2]}};
  return rebuilt;
}

StorageView Rebuilder::storage_of(Handle handle, int depth) {
  if (const StorageView* found = contents_.find_view(handle)) return *found;
  if (auto object = graph_.object(handle)) {
    Args args = graph_.children(object->args);
    if (graph_.is_global(object->callable, "torch.storage", "_load_from_bytes") && args.size() == 1)
      return nested_storage(args[0], depth);
  }
  fail("TT04", fmt::format("{} is not a storage", describe(graph_, handle)));
}

}  // namespace depickle::torch
