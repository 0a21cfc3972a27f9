// From a node of the graph to the tensor that torch would build there. Builders are read, never called.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "depickle/formats/torch/contents.h"

namespace depickle::torch {

/// What a node stands for.
struct Rebuilt {
  enum class Is {
    other,        ///< no tensor
    tensor,       ///< `tensor`, without its name
    unsupported,  ///< a tensor that safetensors cannot hold; `what` says why
    no_data,      ///< a tensor without data (meta, uninitialised); `what` says which
  };
  Is is = Is::other;
  Tensor tensor;
  std::string what;
  /// Nodes that an unsupported tensor is made of, with what to call them: the indices and values of a sparse one.
  std::vector<std::pair<std::string, pickle::Handle>> parts;
};

/// Builders may be nested so deep (TT03).
inline constexpr int kMaxBuilderDepth = 16;

/// Reads the builders of one file. Shapes and strides go into `arena`; storages that lie inside the pickle itself (numpy
/// arrays, `_load_from_bytes`) are added to the file's.
class Rebuilder {
 public:
  /// `expand_limit_bytes`: see weights::OpenOptions.
  Rebuilder(Contents& contents, Arena& arena, uint64_t expand_limit_bytes)
      : contents_(contents),
        graph_(contents.graph),
        arena_(arena),
        expand_limit_bytes_(expand_limit_bytes) {}

  /// Throws Error{malformed} (TT01 to TT06) where a builder's arguments are not what torch writes.
  Rebuilt rebuild(pickle::Handle handle) { return rebuild(handle, 0); }

  // What builders are given, for who makes tensors of any dtype, not only of those that safetensors has. Throw as rebuild().
  /// A strided view; of the storage's own dtype where `element` is nullptr. Every element lies inside the storage.
  PlacedTensor place(pickle::Handle storage, const ElementType* element, pickle::Handle offset, pickle::Handle size,
      pickle::Handle stride);
  /// A storage, by its persistent id or pickled inside the pickle.
  StorageView storage_of(pickle::Handle handle, int depth = 0);
  /// The storage that `_load_from_bytes` is given.
  StorageView storage_of_bytes(pickle::Handle data) { return nested_storage(data, 0); }
  /// A tuple, list or torch.Size of sizes; `what` they are is for errors.
  std::vector<uint64_t> sizes_of(pickle::Handle handle, std::string_view what);
  /// Bytes written as bytes, as a Python 2 str, or as `_codecs.encode(text, "latin1")`; empty for anything else.
  std::optional<Storage> inline_bytes(pickle::Handle handle, int depth = 0);

 private:
  using Handle = pickle::Handle;
  using Args = std::span<const Handle>;

  /// A dtype and whether its bytes are in the other order.
  struct ArrayType {
    ElementType element;
    bool swap;
  };

  Rebuilt rebuild(Handle handle, int depth);
  Rebuilt rebuild_object(const pickle::Object& object, int depth);
  Rebuilt call(Builder builder, Args args, const pickle::Object& object, int depth);

  PlacedTensor geometry(
      const StorageView& storage, const ElementType& element, Handle offset, Handle size, Handle stride);
  Rebuilt view_tensor(
      const StorageView& storage, const ElementType& element, Handle offset, Handle size, Handle stride);
  Rebuilt tensor(Args args, const ElementType* element, Handle metadata);
  Rebuilt placed_tensor(const PlacedTensor& placed);
  Rebuilt whole_storage(const StorageView& storage);
  Rebuilt from_type(Args args, int depth);
  Rebuilt parameter(const pickle::Object& object, int depth);
  Rebuilt quantized(Args args);
  Rebuilt numpy_array(const pickle::Object& object);
  Rebuilt numpy_buffer(Args args);
  Rebuilt array(Handle data, Handle dtype, Handle shape, bool fortran);
  void set_geometry(Tensor& tensor, const StorageView& storage, const ElementType& element,
      std::span<const uint64_t> shape, std::span<const uint64_t> strides, uint64_t offset_units);

  StorageView nested_storage(Handle data, int depth);
  bool is_in_stream(Bytes bytes) const;
  uint32_t add_storage(Storage storage);
  std::optional<ArrayType> array_type(Handle dtype);
  std::string shape_text(Handle handle);

  Contents& contents_;
  const pickle::Graph& graph_;
  Arena& arena_;
  uint64_t expand_limit_bytes_;
  std::map<Handle, StorageView> inline_storages_;  ///< by the node of their bytes, so that what is tied stays tied
};

}  // namespace depickle::torch
