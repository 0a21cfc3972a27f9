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

void need(std::span<const Handle> args, size_t least, std::string_view builder) {
  if (args.size() < least) fail("TT01", fmt::format("{} has {} arguments (needs {})", builder, args.size(), least));
}

Rebuilt unsupported(std::string what) {
  return {.kind = RebuiltKind::unsupported, .tensor = {}, .what = std::move(what), .parts = {}};
}

}  // namespace

std::vector<uint64_t> Rebuilder::sizes_of(Handle handle, std::string_view what) {
  // torch.Size(...) and a list stand for a tuple.
  if (auto object = graph_.object(handle)) {
    Args args = graph_.children(object->args);
    if (graph_.is_global(object->callable, "torch", "Size") && args.size() == 1) handle = args[0];
  }
  if (graph_.kind(handle) != NodeKind::tuple && graph_.kind(handle) != NodeKind::list)
    fail("TT02", fmt::format("the {} is no tuple", what));
  Args items = graph_.children(handle);
  if (items.size() > kMaxDimensions)
    throw Error(
        Code::limit, "TT02", fmt::format("the {} has {} dimensions (at most {})", what, items.size(), kMaxDimensions));
  std::vector<uint64_t> sizes;
  for (Handle item : items) {
    auto size = graph_.integer(item);
    if (!size || *size < 0 || *size > (int64_t{1} << 62))
      fail("TT02", fmt::format("the {} holds {}, no size", what, describe(graph_, item)));
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
  auto argument = [&](size_t i) { return i < args.size() ? args[i] : pickle::kNothing; };
  switch (builder) {
    case BuilderFunction::tensor: need(args, 4, "_rebuild_tensor"); return tensor(args, nullptr, pickle::kNothing);
    case BuilderFunction::tensor_v2: need(args, 6, "_rebuild_tensor_v2"); return tensor(args, nullptr, argument(6));
    case BuilderFunction::tensor_v3: {
      need(args, 7, "_rebuild_tensor_v3");
      const pickle::Global* dtype = graph_.global(args[6]);
      const ElementType* element = dtype && dtype->module == "torch" ? find_dtype_object(dtype->name) : nullptr;
      if (!element) fail("TT04", fmt::format("{} is no dtype", describe(graph_, args[6])));
      return tensor(args, element, argument(7));
    }
    case BuilderFunction::parameter:
    case BuilderFunction::parameter_with_state:
    case BuilderFunction::cpu_tensor: need(args, 1, "_rebuild_parameter"); return rebuild(args[0], depth + 1);
    case BuilderFunction::variable: return parameter(object, depth);
    case BuilderFunction::from_type_v2: need(args, 3, "_rebuild_from_type_v2"); return from_type(args, depth);
    case BuilderFunction::from_type: need(args, 3, "_rebuild_from_type"); return from_type(args, depth);
    case BuilderFunction::old_tensor: {
      // Before torch 0.2: FloatTensor() and its state (storage, offset, size, stride).
      Args state = object.state == pickle::kNothing ? Args() : graph_.tuple(object.state, 4);
      return state.empty() ? Rebuilt{} : tensor(state, nullptr, pickle::kNothing);
    }
    case BuilderFunction::qtensor: return quantized(args);
    case BuilderFunction::sparse: {
      need(args, 2, "_rebuild_sparse_tensor");
      Rebuilt sparse = unsupported("sparse");
      Args data = graph_.children(args[1]);
      if (data.size() >= 3)
        sparse.what += shape_text(data[data.size() >= 4 && graph_.kind(data[3]) != NodeKind::boolean ? 3 : 2]);
      if (data.size() == 3 || (data.size() == 4 && graph_.kind(data[3]) == NodeKind::boolean)) {
        sparse.parts = {{"indices", data[0]}, {"values", data[1]}};
      } else if (data.size() >= 3) {
        sparse.parts = {{"0", data[0]}, {"1", data[1]}, {"2", data[2]}};
      }
      return sparse;
    }
    case BuilderFunction::sparse_csr: {
      need(args, 4, "_rebuild_sparse_csr_tensor");
      Rebuilt sparse = unsupported("sparse" + shape_text(args[3]));
      sparse.parts = {{"0", args[0]}, {"1", args[1]}, {"2", args[2]}};
      return sparse;
    }
    case BuilderFunction::nested: {
      need(args, 4, "_rebuild_nested_tensor");
      Rebuilt nested = unsupported("nested");
      nested.parts = {{"buffer", args[0]}, {"sizes", args[1]}, {"strides", args[2]}, {"offsets", args[3]}};
      return nested;
    }
    case BuilderFunction::jagged: {
      Rebuilt nested = unsupported("nested (jagged)");
      for (const auto& [key, value] :
          graph_.entries(graph_.children(argument(0) == pickle::kNothing ? graph_.root() : args[0]))) {
        if (auto name = graph_.text(key); name == "values" || name == "offsets" || name == "lengths")
          nested.parts.emplace_back(*name, value);
      }
      return nested;
    }
    case BuilderFunction::wrapper:
      return unsupported(
          fmt::format("a tensor subclass without a storage of its own{}", args.size() > 2 ? shape_text(args[2]) : ""));
    case BuilderFunction::meta:
      return {.kind = RebuiltKind::no_data,
          .tensor = {},
          .what = fmt::format("meta tensor without data{}", args.size() > 1 ? shape_text(args[1]) : ""),
          .parts = {}};
    case BuilderFunction::uninitialized:
      return {.kind = RebuiltKind::no_data, .tensor = {}, .what = "uninitialised parameter without data", .parts = {}};
    case BuilderFunction::from_numpy: {
      need(args, 2, "_rebuild_device_tensor_from_numpy");
      Rebuilt inner = rebuild(args[0], depth + 1);
      const pickle::Global* dtype = graph_.global(args[1]);
      const ElementType* element = dtype ? find_dtype_object(dtype->name) : nullptr;
      if (inner.kind != RebuiltKind::tensor || (element && element->dtype == inner.tensor.dtype)) return inner;
      return unsupported(fmt::format(
          "{} saved as {} by another device", element ? element->name : "a tensor", name(inner.tensor.dtype)));
    }
    case BuilderFunction::load_from_bytes:
      need(args, 1, "_load_from_bytes");
      return whole_storage(nested_storage(args[0], depth));
    case BuilderFunction::numpy_reconstruct: return numpy_array(object);
    case BuilderFunction::numpy_frombuffer: return numpy_buffer(args);
    case BuilderFunction::ordered_dict:
    case BuilderFunction::dict_like:
    case BuilderFunction::copyreg_reconstructor:
    case BuilderFunction::codecs_encode: return {};
  }
  return {};
}

// torch.nn.Parameter and Variable, as NEWOBJ or REDUCE with the data as argument, or with all of it in the state.
Rebuilt Rebuilder::parameter(const pickle::Object& object, int depth) {
  Args args = graph_.children(object.args);
  if (!args.empty()) return rebuild(args[0], depth + 1);
  if (object.state == pickle::kNothing) return {};
  // Tensor.__setstate__: four parts are a tensor, five a variable around its data.
  if (Args state = graph_.tuple(object.state, 4); !state.empty()) return tensor(state, nullptr, pickle::kNothing);
  if (Args state = graph_.tuple(object.state, 5); !state.empty()) return rebuild(state[0], depth + 1);
  return {};
}

// (func, type, args, state): what func builds of args, if func is itself a builder. Any other func is a plain call.
Rebuilt Rebuilder::from_type(Args args, int depth) {
  if (depth > kMaxBuilderDepth)
    throw Error(Code::limit, "TT03", fmt::format("builders are nested more than {} deep", kMaxBuilderDepth));
  pickle::Object inner{.made_by = pickle::Op::REDUCE, .callable = args[0], .args = args[2], .items = {}, .pairs = {}};
  Rebuilt rebuilt = rebuild_object(inner, depth + 1);
  if (rebuilt.kind == RebuiltKind::unsupported && rebuilt.parts.empty() && args.size() > 3) {
    // A wrapper keeps its inner tensors in its state: a dict, or (dict, dict of slots).
    Args both = graph_.tuple(args[3], 2);
    for (Handle state : both.empty() ? Args(&args[3], 1) : both) {
      if (graph_.kind(state) != NodeKind::dict) continue;
      for (const auto& [key, value] : graph_.entries(graph_.children(state))) {
        if (auto name = graph_.text(key)) rebuilt.parts.emplace_back(*name, value);
      }
    }
  }
  return rebuilt;
}

Rebuilt Rebuilder::tensor(Args args, const ElementType* element, Handle metadata) {
  StorageView storage = storage_of(args[0]);
  Rebuilt rebuilt = view_tensor(storage, element ? *element : *storage.element, args[1], args[2], args[3]);
  if (metadata == pickle::kNothing || rebuilt.kind != RebuiltKind::tensor || graph_.kind(metadata) == NodeKind::none)
    return rebuilt;
  if (graph_.kind(metadata) != NodeKind::dict)
    fail("TT02", fmt::format("the metadata is {}, no dict", describe(graph_, metadata)));
  for (const auto& [key, value] : graph_.entries(graph_.children(metadata))) {
    bool set = graph_.integer(value) == 1;
    if (graph_.text(key) == "conj") rebuilt.tensor.conjugate = set;
    if (graph_.text(key) == "neg") rebuilt.tensor.negate = set;
  }
  return rebuilt;
}

PlacedTensor Rebuilder::geometry(
    const StorageView& storage, const ElementType& element, Handle offset, Handle size, Handle stride) {
  std::vector<uint64_t> shape = sizes_of(size, "shape"), strides = sizes_of(stride, "strides");
  auto first = graph_.integer(offset);
  if (!first || *first < 0) fail("TT02", fmt::format("the storage offset is {}", describe(graph_, offset)));
  if (shape.size() != strides.size())
    fail("TT02", fmt::format("{} strides for {} dimensions", strides.size(), shape.size()));
  PlacedTensor placed{storage, std::move(shape), std::move(strides), static_cast<uint64_t>(*first)};
  placed.storage.element = &element;
  return placed;
}

PlacedTensor Rebuilder::place(Handle storage, const ElementType* element, Handle offset, Handle size, Handle stride) {
  StorageView view = storage_of(storage);
  PlacedTensor placed = geometry(view, element ? *element : *view.element, offset, size, stride);
  if (std::ranges::find(placed.shape, 0u) != placed.shape.end()) return placed;
  uint64_t last = placed.offset, end_bytes = 0;
  bool overflows = false;
  for (size_t i = 0; i < placed.shape.size(); ++i) {
    uint64_t reach = 0;
    overflows |= __builtin_mul_overflow(placed.shape[i] - 1, placed.strides[i], &reach);
    overflows |= __builtin_add_overflow(last, reach, &last);
  }
  overflows |= __builtin_add_overflow(last, uint64_t{1}, &last);
  overflows |= __builtin_mul_overflow(last, uint64_t{placed.storage.element->bytes}, &end_bytes);
  if (overflows || end_bytes > view.size_bytes)
    fail("TT05", fmt::format("shape [{}] with strides [{}] of {} at element {} reaches outside its storage of {} bytes",
                     fmt::join(placed.shape, ", "), fmt::join(placed.strides, ", "), placed.storage.element->name,
                     placed.offset, grouped(view.size_bytes)));
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
  // float4_e2m1fn_x2 counts bytes, safetensors counts the two values in each.
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
        {}, "a view that repeats a few bytes; raise the limit if it is meant");
  }
  if (*size_bytes == 0) offset_bytes = std::min(offset_bytes, storage.offset_bytes + storage.size_bytes);
  tensor.shape = arena_.copy(std::span<const uint64_t>(logical));
  tensor.strides = is_c_order(tensor.dtype, logical, strides) ? std::span<const uint64_t>() : arena_.copy(strides);
  tensor.offset_bytes = offset_bytes;
  tensor.size_bytes = *size_bytes;
  tensor.storage = storage.storage;
  tensor.swap = contents_.big_endian && unit_bytes(tensor.dtype) > 1;
  // A view of a piece may not leave the piece; the table checks the storage itself.
  if (*size_bytes > 0 && tensor.strides.empty() &&
      (offset_bytes - storage.offset_bytes > storage.size_bytes ||
          *size_bytes > storage.size_bytes - (offset_bytes - storage.offset_bytes))) {
    fail("TT05", fmt::format("shape [{}] of {} at element {} reaches outside its storage (have {} bytes, need {})",
                     fmt::join(shape, ", "), element.name, offset_units, grouped(storage.size_bytes),
                     grouped(offset_bytes - storage.offset_bytes + *size_bytes)));
  }
}

Rebuilt Rebuilder::quantized(Args args) {
  need(args, 5, "_rebuild_qtensor");
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
  fail("TT04", fmt::format("{} is no storage", describe(graph_, handle)));
}

}  // namespace depickle::torch
