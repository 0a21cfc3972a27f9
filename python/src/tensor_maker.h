// Creates torch tensors over the storages of a torch file. Tensors share storages as in the file.
#pragma once

#include <cstdint>
#include <vector>

#include "depickle/formats/torch/contents.h"
#include "python/src/bind.h"

namespace depickle::python {

/// A file, and the Python object that exports its bytes as a writable buffer.
struct FileBuffer {
  std::shared_ptr<const ByteSource> source;
  nb::object buffer;
};

/// torch's `map_location`.
struct Restore {
  nb::object storage;        ///< called with a torch.UntypedStorage and its location; returns the storage to use
  bool also_of_cpu = false;  ///< whether to call it for storages saved from the CPU too
};

/// For one file and one thread.
class TensorMaker {
 public:
  TensorMaker(const torch::Contents& contents, FileBuffer file, Restore restore);

  /// Returns the tensor that torch.load would return, without requires_grad. Its bytes are copied only if they are
  /// compressed or in the other byte order.
  nb::object tensor(const torch::PlacedTensor& placed);
  /// Returns a torch.storage.TypedStorage.
  nb::object typed_storage(const torch::StorageView& view);
  /// Returns torch.Tensor._make_subclass(torch.nn.Parameter, data, requires_grad).
  nb::object parameter(nb::handle data, nb::handle requires_grad) const;
  /// Whether Restore::storage threw the last exception.
  bool restore_failed() const noexcept { return restore_failed_; }

 private:
  /// A storage of the pickle, created at its first use: as a storage, or as a single tensor that covers it.
  struct LoadedStorage {
    nb::object untyped, tensor;
  };

  LoadedStorage& loaded(uint32_t storage);
  const nb::object& untyped(const torch::StorageView& view);
  bool is_restored(const torch::StorageView& view) const;
  bool covers(const torch::PlacedTensor& placed) const;
  nb::object covering(const torch::PlacedTensor& placed);
  /// Returns the buffer and the offset of a storage's bytes in native byte order.
  std::pair<nb::object, uint64_t> bytes_of(const torch::StorageView& view);
  bool is_swapped(const torch::StorageView& view) const;

  const torch::Contents& contents_;
  FileBuffer file_;
  Bytes file_bytes_;
  Restore restore_;
  std::vector<LoadedStorage> loaded_;
  bool restore_failed_ = false;
};

/// Returns torch's dtype for `element`. Throws AttributeError if the installed torch does not have it.
nb::object torch_dtype(const torch::ElementType& element);
/// Returns a str for text of a file; invalid UTF-8 is escaped.
nb::object readable(std::string_view text);

}  // namespace depickle::python
