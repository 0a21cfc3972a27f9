// Tensors of torch over the storages of a torch file, tied as the file ties them.
#pragma once

#include <cstdint>
#include <vector>

#include "depickle/formats/torch/contents.h"
#include "python/src/bind.h"

namespace depickle::python {

/// Where a file's bytes are for Python: an object that exports `source`'s bytes, writable.
struct Home {
  std::shared_ptr<const ByteSource> source;
  nb::object buffer;
};

/// What `map_location` asks for.
struct Restore {
  nb::object storage;        ///< called with a torch.UntypedStorage and its location; returns the storage to use
  bool also_of_cpu = false;  ///< whether it is also called for what was saved from the CPU
};

/// For one file and one thread.
class TensorMaker {
 public:
  TensorMaker(const torch::Contents& contents, Home home, Restore restore);

  /// As torch.load would make it, without requires_grad. Bytes that lie in the file as they are needed are not copied.
  nb::object tensor(const torch::PlacedTensor& placed);
  /// torch.storage.TypedStorage
  nb::object typed_storage(const torch::StorageView& view);
  /// torch.Tensor._make_subclass(torch.nn.Parameter, data, requires_grad)
  nb::object parameter(nb::handle data, nb::handle requires_grad) const;
  /// Whether the last exception came out of Restore::storage.
  bool restore_failed() const noexcept { return restore_failed_; }

 private:
  /// One of the pickle's storages: made when first needed, as a storage or as the one tensor that covers it.
  struct Made {
    nb::object untyped, tensor;
  };

  Made& made(uint32_t storage);
  const nb::object& untyped(const torch::StorageView& view);
  bool is_restored(const torch::StorageView& view) const;
  bool covers(const torch::PlacedTensor& placed) const;
  nb::object covering(const torch::PlacedTensor& placed);
  /// The object and offset at which a storage's bytes are, in this machine's byte order.
  std::pair<nb::object, uint64_t> bytes_of(const torch::StorageView& view);
  bool is_swapped(const torch::StorageView& view) const;

  const torch::Contents& contents_;
  Home home_;
  Bytes home_bytes_;
  Restore restore_;
  std::vector<Made> made_;
  bool restore_failed_ = false;
};

/// The dtype of torch that `element` is. Throws AttributeError where this torch has none.
nb::object torch_dtype(const torch::ElementType& element);
/// A str of what a file says, whatever its bytes are.
nb::object readable(std::string_view text);

}  // namespace depickle::python
