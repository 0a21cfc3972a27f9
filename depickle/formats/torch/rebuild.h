// Turns a node of the graph into the tensor that torch would build. Builders are interpreted and never called.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "depickle/formats/torch/contents.h"

namespace depickle::torch {

enum class RebuiltKind {
  other,        ///< not a tensor
  tensor,       ///< Rebuilt::tensor, without its name
  unsupported,  ///< a tensor that safetensors cannot store; Rebuilt::what is the reason
  no_data,      ///< a tensor without data (meta, uninitialized); Rebuilt::what describes it
};

/// The tensor that a node of the graph represents.
struct Rebuilt {
  RebuiltKind kind = RebuiltKind::other;
  Tensor tensor;
  std::string what;
  /// The nodes from which an unsupported tensor is built, with their names: "indices" and "values" of a sparse tensor.
  std::vector<std::pair<std::string, pickle::Handle>> parts;
};

/// The maximum depth of builders inside builders (TT03).
inline constexpr int kMaxBuilderDepth = 16;

/// Interprets the builders of one file. Stores shapes and strides in `arena`. Adds storages whose bytes are inside the
/// pickle (numpy arrays, `_load_from_bytes`) to `contents`.
class Rebuilder {
 public:
  /// `expand_limit_bytes`: see weights::OpenOptions. `contents` and `arena` must outlive the object.
  Rebuilder(Contents& contents, Arena& arena, uint64_t expand_limit_bytes)
      : contents_(contents),
        graph_(contents.graph),
        arena_(arena),
        expand_limit_bytes_(expand_limit_bytes) {}

  /// Returns the tensor that a node represents. Throws Error{malformed} (TT01 to TT05) if a builder's arguments are not
  /// what torch writes, Error{limit} (TT02, TT03, TT06), Error{unsupported} (TT04).
  Rebuilt rebuild(pickle::Handle handle) { return rebuild(handle, 0); }
  /// Returns whether a node represents a tensor, also an unsupported or a malformed one.
  bool is_tensor(pickle::Handle handle);

  // The arguments of builders, for callers that support more dtypes than safetensors. They throw as rebuild().
  /// Returns a strided view of a storage; of the storage's dtype if `element` is nullptr. Every element is inside the
  /// storage.
  PlacedTensor place(pickle::Handle storage, const ElementType* element, pickle::Handle offset, pickle::Handle size,
      pickle::Handle stride);
  /// Returns the storage that a persistent id names, or that is pickled inside the pickle.
  StorageView storage_of(pickle::Handle handle, int depth = 0);
  /// Returns the storage that `_load_from_bytes(data)` would load.
  StorageView storage_of_bytes(pickle::Handle data) { return nested_storage(data, 0); }
  /// Returns the elements of a tuple, list or torch.Size. `what` names them in errors: "shape".
  std::vector<uint64_t> sizes_of(pickle::Handle handle, std::string_view what);
  /// Returns the content of a bytes, a Python 2 str, or `_codecs.encode(text, "latin1")`; nullopt for any other node.
  std::optional<Storage> inline_bytes(pickle::Handle handle, int depth = 0);

 private:
  using Handle = pickle::Handle;
  using Args = std::span<const Handle>;

  /// The dtype of a numpy array.
  struct ArrayType {
    ElementType element;
    bool swap;  ///< the elements are big-endian
  };

  Rebuilt rebuild(Handle handle, int depth);
  Rebuilt rebuild_object(const pickle::Object& object, int depth);
  Rebuilt call(BuilderFunction builder, Args args, const pickle::Object& object, int depth);

  PlacedTensor geometry(
      const StorageView& storage, const ElementType& element, Handle offset, Handle size, Handle stride);
  Rebuilt view_tensor(
      const StorageView& storage, const ElementType& element, Handle offset, Handle size, Handle stride);
  Rebuilt strided_tensor(Args args, const ElementType* element, Handle metadata);
  Rebuilt typed_tensor(Args args);
  Rebuilt placed_tensor(const PlacedTensor& placed);
  Rebuilt whole_storage(const StorageView& storage);
  Rebuilt from_type(Args args, int depth);
  Rebuilt parameter(const pickle::Object& object, int depth);
  Rebuilt quantized(Args args);
  Rebuilt sparse(Args args);
  Rebuilt jagged(Handle state);
  Rebuilt from_numpy(Args args, int depth);
  Rebuilt numpy_array(const pickle::Object& object);
  Rebuilt numpy_buffer(Args args);
  Rebuilt array(Handle data, Handle dtype, Handle shape, bool fortran);
  void set_geometry(Tensor& tensor, const StorageView& storage, const ElementType& element,
      std::span<const uint64_t> shape, std::span<const uint64_t> strides, uint64_t offset_units);

  /// A storage that is a file inside the pickle.
  struct NestedStorage {
    StorageView view;
    Storage storage;
  };
  StorageView nested_storage(Handle data, int depth);
  const NestedStorage& nested_file(const Storage& bytes);
  bool is_in_stream(Bytes bytes) const;
  uint32_t add_storage(Storage storage);
  Storage storage_over(Bytes bytes);
  Storage storage_over_latin1(std::string_view text);
  std::optional<ArrayType> array_type(Handle dtype);
  std::string shape_text(Handle handle);

  Contents& contents_;
  const pickle::Graph& graph_;
  Arena& arena_;
  uint64_t expand_limit_bytes_;
  /// By the node of their bytes: tensors that share bytes keep sharing.
  std::map<Handle, StorageView> inline_storages_;
  // By the bytes or the text in the graph: address and size.
  using Sources = std::map<std::pair<const void*, size_t>, std::shared_ptr<const ByteSource>>;
  Sources copies_, decoded_;
  std::map<std::tuple<const ByteSource*, uint64_t, uint64_t>, NestedStorage> nested_files_;  ///< by source and range
};

}  // namespace depickle::torch
