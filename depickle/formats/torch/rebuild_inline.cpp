// Tensors whose bytes are inside the pickle: numpy arrays, and storages that were pickled without torch.save.
#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/file_kind.h"
#include "depickle/formats/pickle/describe.h"
#include "depickle/formats/torch/latin1.h"
#include "depickle/formats/torch/rebuild.h"

namespace depickle::torch {
namespace {

using pickle::Handle;
using pickle::NodeKind;

// Finds an element type by numpy's code: "f4". Returns nullopt if torch has no such type.
std::optional<ElementType> numpy_element(std::string_view code) {
  constexpr std::pair<std::string_view, std::string_view> kCodes[] = {{"b1", "bool"}, {"i1", "int8"}, {"i2", "int16"},
      {"i4", "int32"}, {"i8", "int64"}, {"u1", "uint8"}, {"u2", "uint16"}, {"u4", "uint32"}, {"u8", "uint64"},
      {"f2", "float16"}, {"f4", "float32"}, {"f8", "float64"}, {"c8", "complex64"}, {"c16", "complex128"}};
  auto found = std::ranges::find(kCodes, code, &std::pair<std::string_view, std::string_view>::first);
  if (found == std::end(kCodes)) return std::nullopt;
  return *find_dtype_object(found->second);
}

}  // namespace

uint32_t Rebuilder::add_storage(Storage storage) {
  contents_.storages.push_back(std::move(storage));
  return static_cast<uint32_t>(contents_.storages.size() - 1);
}

bool Rebuilder::is_in_stream(Bytes bytes) const {
  Bytes stream = contents_.stream->all();
  return bytes.data() >= stream.data() && bytes.data() + bytes.size() <= stream.data() + stream.size();
}

// Bytes outside the stream, which the graph owns, are copied: the graph is freed before they are read. They are copied
// once, because many objects may be built from the same bytes.
Storage Rebuilder::storage_over(Bytes bytes) {
  if (is_in_stream(bytes)) {
    auto offset_bytes = static_cast<uint64_t>(bytes.data() - contents_.stream->all().data());
    return {.key = {}, .source = contents_.stream, .offset_bytes = offset_bytes, .size_bytes = bytes.size()};
  }
  std::shared_ptr<const ByteSource>& source = copies_[{bytes.data(), bytes.size()}];
  if (!source) {
    std::string_view copy = contents_.arena.copy(text(bytes));
    source = std::make_shared<MemorySource>(contents_.stream->name(), depickle::bytes(copy));
  }
  return {.key = {}, .source = source, .offset_bytes = 0, .size_bytes = bytes.size()};
}

// Decodes each text once, for the same reason.
Storage Rebuilder::storage_over_latin1(std::string_view text) {
  std::shared_ptr<const ByteSource>& source = decoded_[{text.data(), text.size()}];
  if (!source) {
    // The graph owns decoded text, and is freed before the bytes are read.
    std::string_view kept = is_in_stream(bytes(text)) ? text : contents_.arena.copy(text);
    source = latin1_bytes(contents_.stream->name(), kept, contents_.stream);
  }
  return {.key = {}, .source = source, .offset_bytes = 0, .size_bytes = source->size_bytes()};
}

std::optional<Storage> Rebuilder::inline_bytes(Handle handle, int depth) {
  if (graph_.kind(handle) == NodeKind::bytes) return storage_over(*graph_.bytes(handle));
  if (auto python2 = graph_.text(handle)) return storage_over(depickle::bytes(*python2));

  auto object = graph_.object(handle);
  if (!object) return std::nullopt;
  Args args = graph_.children(object->args);
  const pickle::Global* global = graph_.global(object->callable);
  if (!global) return std::nullopt;
  if (find_builder(*global) == BuilderFunction::codecs_encode && args.size() == 2) {
    auto text = graph_.text(args[0]);
    auto codec = graph_.text(args[1]);
    if (!text || (codec != "latin1" && codec != "latin-1")) return std::nullopt;
    return storage_over_latin1(*text);
  }
  bool wraps = (global->module == "builtins" || global->module == "__builtin__") &&
               (global->name == "bytearray" || global->name == "bytes");
  if (!wraps || args.size() > 1 || depth > kMaxBuilderDepth) return std::nullopt;
  if (args.empty()) return storage_over({});  // protocol 2 spells b"" as bytes()
  return inline_bytes(args[0], depth + 1);
}

StorageView Rebuilder::nested_storage(Handle data, int depth) {
  if (auto known = inline_storages_.find(data); known != inline_storages_.end()) return known->second;
  if (depth > 1) throw Error(Code::limit, "TT03", "storages are pickled inside storages more than twice");
  auto bytes = inline_bytes(data);
  if (!bytes) fail("TT04", fmt::format("the argument of _load_from_bytes is {}, not bytes", describe(graph_, data)));
  const NestedStorage& nested = nested_file(*bytes);
  StorageView view = nested.view;
  view.storage = add_storage(nested.storage);
  inline_storages_.emplace(data, view);
  return view;
}

// Reads each nested file once: many objects may be built from the same bytes.
const Rebuilder::NestedStorage& Rebuilder::nested_file(const Storage& bytes) {
  const std::tuple place(bytes.source.get(), bytes.offset_bytes, bytes.size_bytes);
  if (auto known = nested_files_.find(place); known != nested_files_.end()) return known->second;
  // A source of its own, because the legacy container ends at the end of its source.
  auto source = std::make_shared<MemorySource>(contents_.stream->name(), bytes.bytes(), bytes.source);
  if (detect::file_kind(*source) != detect::FileKind::torch_legacy)
    throw Error(Code::unsupported, "TT04", "the argument of _load_from_bytes is not a legacy torch file");
  Contents contents = read_legacy(source);
  const StorageView* root = contents.find_view(contents.graph.root());
  if (!root) throw Error(Code::unsupported, "TT04", "the argument of _load_from_bytes does not contain a storage");
  NestedStorage nested{*root, contents.storages[root->storage]};
  nested.view.location = contents_.arena.copy(root->location);  // the nested graph is freed
  nested.storage.key = {};
  // Offsets count from the start of the file if the bytes are part of it.
  nested.storage.source = bytes.source;
  nested.storage.offset_bytes += bytes.offset_bytes;
  return nested_files_.emplace(place, std::move(nested)).first->second;
}

// numpy.core.multiarray._reconstruct(ndarray, (0,), b"b") with the state (version, shape, dtype, fortran order, data).
Rebuilt Rebuilder::numpy_array(const pickle::Object& object) {
  Args state = object.state == pickle::kNothing ? Args() : graph_.tuple(object.state, 5);
  if (state.empty()) return {};
  return array(state[4], state[2], state[1], graph_.integer(state[3]) == 1);
}

// numpy.core.numeric._frombuffer(data, dtype, shape, order)
Rebuilt Rebuilder::numpy_buffer(Args args) {
  if (args.size() != 4) fail("TT01", fmt::format("_frombuffer has {} arguments (needs 4)", args.size()));
  return array(args[0], args[1], args[2], graph_.text(args[3]) == "F");
}

std::optional<Rebuilder::ArrayType> Rebuilder::array_type(Handle dtype) {
  auto object = graph_.object(dtype);
  if (!object || !graph_.is_global(object->callable, "numpy", "dtype")) return std::nullopt;
  Args args = graph_.children(object->args);
  auto code = args.empty() ? std::nullopt : graph_.text(args[0]);
  auto element = code ? numpy_element(*code) : std::nullopt;
  if (!element || object->state == pickle::kNothing) return std::nullopt;
  Args state = graph_.children(object->state);  // (version, byte order, subdtype, names, …)
  if (state.size() < 5 || graph_.kind(state[2]) != NodeKind::none || graph_.kind(state[3]) != NodeKind::none)
    return std::nullopt;
  return ArrayType{*element, graph_.text(state[1]) == ">" && element->bytes > 1};
}

Rebuilt Rebuilder::array(Handle data, Handle dtype, Handle shape_handle, bool fortran) {
  auto type = array_type(dtype);
  if (!type) return {};
  if (!type->element.dtype)
    return {.kind = RebuiltKind::unsupported,
        .tensor = {},
        .what = fmt::format("numpy array of {}{}", type->element.name, shape_text(shape_handle)),
        .parts = {}};
  auto known = inline_storages_.find(data);
  if (known == inline_storages_.end()) {
    auto storage = inline_bytes(data);
    if (!storage) return {};
    uint64_t size_bytes = storage->size_bytes;
    known = inline_storages_
                .emplace(data, StorageView{add_storage(std::move(*storage)), 0, size_bytes, find_dtype_object("uint8")})
                .first;
  }
  const StorageView& view = known->second;
  std::vector<uint64_t> shape = sizes_of(shape_handle, "shape");
  auto size_bytes = tensor_bytes(*type->element.dtype, shape);
  if (size_bytes != view.size_bytes)
    fail("TT05", fmt::format("a numpy array of shape [{}] and dtype {} has {} bytes of data", fmt::join(shape, ", "),
                     type->element.name, grouped(view.size_bytes)));

  std::vector<uint64_t> strides;
  if (fortran) {
    uint64_t stride = 1;
    for (uint64_t size : shape) strides.push_back(std::exchange(stride, stride * size));
  }
  Rebuilt rebuilt{.kind = RebuiltKind::tensor, .tensor = {}, .what = {}, .parts = {}};
  set_geometry(rebuilt.tensor, view, type->element, shape, strides, 0);
  rebuilt.tensor.swap = type->swap;
  return rebuilt;
}

}  // namespace depickle::torch
