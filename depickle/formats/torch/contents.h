// The content of a torch file, independent of its container: the pickle as a graph, the storages as bytes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "depickle/base/arena.h"
#include "depickle/base/tensor.h"
#include "depickle/formats/detect/file_kind.h"
#include "depickle/formats/pickle/graph.h"
#include "depickle/formats/torch/globals.h"
#include "depickle/formats/torch/script_classes.h"

namespace depickle::torch {

/// torch's limit for the dimensions of a tensor.
inline constexpr size_t kMaxDimensions = 64;

/// A storage, or a part of one: old files name views.
struct StorageView {
  uint32_t storage;  ///< index into Contents::storages
  uint64_t offset_bytes;
  uint64_t size_bytes;
  const ElementType* element;         ///< of the storage's class; uint8 if it is untyped
  std::string_view location = "cpu";  ///< the device it was saved from; points into the graph
};

/// A tensor as a strided view of a storage, of any torch dtype.
struct PlacedTensor {
  StorageView storage;
  std::vector<uint64_t> shape, strides;
  uint64_t offset;  ///< of the first element, in elements
};

/// The persistent id of a storage: ('storage', class, key, location, numel[, view]).
struct PersistentId {
  const ElementType* element;
  std::string_view key;
  std::string_view location;  ///< "cpu", "cuda:0"
  uint64_t numel;
  struct View {
    std::string_view key;
    uint64_t offset, numel;  ///< in elements
  };
  std::optional<View> view;
};

/// The result of every container reader. Movable: pointers into its members stay valid.
struct Contents {
  detect::FileKind kind{};  ///< zip, torch_legacy, tar, pickle or plain_pickle
  pickle::Graph graph;
  std::shared_ptr<const ByteSource> stream;  ///< the graph points into it
  std::vector<Storage> storages;
  std::vector<std::pair<pickle::Handle, StorageView>> views;  ///< by persistent id, sorted
  std::map<pickle::Handle, PlacedTensor> tensors;  ///< by persistent id; only in a tar, whose ids name tensors
  bool big_endian = false;
  std::vector<std::string> notes;
  bool has_code = false;                    ///< a TorchScript archive
  ScriptClasses script_classes;             ///< of a TorchScript archive
  std::shared_ptr<Contents> constants;      ///< constants.pkl of a TorchScript archive; nullptr if it is not readable
  std::vector<std::string> unused_records;  ///< records that are not part of the table: "constants.pkl"
  Arena arena;                              ///< stores the keys of the storages and names in `script_classes`

  /// Returns nullptr if the value is not the persistent id of a storage.
  const StorageView* find_view(pickle::Handle persistent) const noexcept;
};

/// Returns the persistent id of a node; nullopt for other ids than 'storage', such as 'module'. Throws Error{malformed}
/// (TS01) if torch does not write such an id, Error{unsupported} if the storage class is unknown.
std::optional<PersistentId> read_persistent_id(const pickle::Graph& graph, pickle::Handle persistent);

/// Maps keys to storages while a container is read. All ids of one key must have the same size and class; an untyped
/// storage and a byte storage are the same class (TS02).
class StorageKeys {
 public:
  /// Returns the index of the storage with this key. Calls `open` to create it if the key is new.
  template <typename Open>
  uint32_t find_or_add(
      Contents& contents, std::string_view key, const ElementType* element, uint64_t size_bytes, Open open) {
    auto found = indices_.find(key);
    if (found == indices_.end()) {
      Storage storage = open();
      storage.key = contents.arena.copy(key);
      contents.storages.push_back(std::move(storage));
      found = indices_
                  .emplace(
                      contents.storages.back().key, Known{static_cast<uint32_t>(contents.storages.size() - 1), element})
                  .first;
    }
    check(contents.storages[found->second.index], found->second.element, size_bytes, element);
    return found->second.index;
  }

 private:
  struct Known {
    uint32_t index;
    const ElementType* element;
  };
  static void check(const Storage& storage, const ElementType* known, uint64_t size_bytes, const ElementType* element);
  std::map<std::string_view, Known> indices_;
};

/// Reads a torch file, in any container. Throws Error; Error{unsupported} if it is not a torch file.
Contents read_contents(std::shared_ptr<const ByteSource> source);

/// Reads a zip archive of torch.save, torch.jit or libtorch. Rules ZP, TZ and TS of docs/formats/torch.md.
Contents read_zip(std::shared_ptr<const ByteSource> source);

/// Reads the container of torch 0.1.10 to 1.5, at byte `offset` of `source`. The argument of `_load_from_bytes` is one.
Contents read_legacy(std::shared_ptr<const ByteSource> source, uint64_t offset = 0);

/// Reads the tar of torch 0.1.9 and before. Calls `on_pickle`, if set, with each pickle in it before it is parsed.
Contents read_tar(
    std::shared_ptr<const ByteSource> source, const std::function<void(Bytes pickle, uint64_t offset)>& on_pickle = {});

/// Reads a pickle without a container, which contains its arrays and storages.
Contents read_bare_pickle(std::shared_ptr<const ByteSource> source);

}  // namespace depickle::torch
