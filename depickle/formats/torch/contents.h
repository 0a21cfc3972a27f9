// A torch file taken apart: its pickle as a graph, its storages as bytes. The container no longer matters after this.
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

namespace depickle::torch {

/// torch's own limit for the dimensions of a tensor.
inline constexpr size_t kMaxDimensions = 64;

/// What a persistent id names: a storage, or (in old files) a piece of one.
struct StorageView {
  uint32_t storage;  ///< index into Contents::storages
  uint64_t offset_bytes;
  uint64_t size_bytes;
  const ElementType* element;         ///< of the storage's class; uint8 where it is untyped
  std::string_view location = "cpu";  ///< the device it was saved from; points into the graph
};

/// A tensor that the container itself describes.
struct PlacedTensor {
  StorageView storage;
  std::vector<uint64_t> shape, strides;
  uint64_t offset;  ///< of the first element, in elements
};

/// A storage's persistent id, as the pickle spells it: ('storage', class, key, location, numel[, view]).
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

/// Everything that the readers of containers find. Movable; what it points into stays where it is.
struct Contents {
  detect::FileKind kind{};  ///< zip, torch_legacy, tar, pickle or plain_pickle
  pickle::Graph graph;
  std::shared_ptr<const ByteSource> stream;  ///< the graph's texts and bytes point into it
  std::vector<Storage> storages;
  std::vector<std::pair<pickle::Handle, StorageView>> views;  ///< of each persistent id, sorted by handle
  std::map<pickle::Handle, PlacedTensor> tensors;             ///< of a tar, where persistent ids name tensors
  bool big_endian = false;
  std::vector<std::string> notes;
  bool has_code = false;                  ///< a TorchScript archive
  std::vector<std::string> left_records;  ///< records that hold no part of the table: "constants.pkl"
  Arena arena;                            ///< of the storages' keys

  const StorageView* find_view(pickle::Handle persistent) const noexcept;
};

/// The persistent id of a node; empty for an id of another kind ('module', …). Throws Error{malformed} (TS01) for one that
/// is no id of torch's, Error{unsupported} for an unknown storage class.
std::optional<PersistentId> read_persistent_id(const pickle::Graph& graph, pickle::Handle persistent);

/// Names storages by key while a container is read, and holds it to one story: every id of a key must agree with the first
/// on the bytes and on the class; an untyped storage and one of bytes are the same (TS02).
class StorageKeys {
 public:
  /// The number of the storage with this key and size, which `open` makes when the key is new.
  template <typename Open>
  uint32_t find_or_add(
      Contents& contents, std::string_view key, const ElementType* element, uint64_t size_bytes, Open open) {
    auto found = numbers_.find(key);
    if (found == numbers_.end()) {
      Storage storage = open();
      storage.key = contents.arena.copy(key);
      contents.storages.push_back(std::move(storage));
      found = numbers_
                  .emplace(
                      contents.storages.back().key, Known{static_cast<uint32_t>(contents.storages.size() - 1), element})
                  .first;
    }
    check(contents.storages[found->second.number], found->second.element, size_bytes, element);
    return found->second.number;
  }

 private:
  struct Known {
    uint32_t number;
    const ElementType* element;
  };
  static void check(const Storage& storage, const ElementType* known, uint64_t size_bytes, const ElementType* element);
  std::map<std::string_view, Known> numbers_;
};

/// A torch file, whichever container it is. Throws Error; `unsupported` for what is no torch file.
Contents read_contents(std::shared_ptr<const ByteSource> source);

/// A zip that torch.save, torch.jit or libtorch wrote. Throws Error; rules ZP and TS of docs/formats/torch.md.
Contents read_zip(std::shared_ptr<const ByteSource> source);

/// The container of torch 0.1.10 to 1.5, at byte `offset` of `source`; also what `_load_from_bytes` is given.
Contents read_legacy(std::shared_ptr<const ByteSource> source, uint64_t offset = 0);

/// The tar of torch 0.1.9 and before. `look`, where there is one, is shown each pickle in it, with the offset of its first byte.
Contents read_tar(
    std::shared_ptr<const ByteSource> source, const std::function<void(Bytes pickle, uint64_t offset)>& look = {});

/// A pickle without a container, in which arrays and storages lie inline.
Contents read_bare_pickle(std::shared_ptr<const ByteSource> source);

}  // namespace depickle::torch
