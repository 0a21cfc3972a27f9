// The checksums that a container keeps of its own records. torch writes them and never looks at them again.
#pragma once

#include <mutex>
#include <vector>

#include "depickle/base/parallel.h"
#include "depickle/base/progress.h"
#include "depickle/weights/weights.h"

namespace depickle::convert {

/// The CRC-32 of every storage for which the container records one, from pieces in any order: those that somebody has just read
/// cost next to nothing.
class Checksums {
 public:
  explicit Checksums(const Weights& source) : source_(source), is_summed_(source.storages().size()) {}

  /// Takes in the bytes of a contiguous tensor, [begin, end) of them. From several threads. Throws as check() does where they are
  /// a storage as a whole, as those of most checkpoints are.
  void piece(const Tensor& tensor, uint64_t begin, uint64_t end);
  /// Computes what no piece has covered. Throws Error{integrity} (ZP12) naming the storage and its place where its checksum is
  /// another than the container's: the file was damaged after it was written. Storages without one pass.
  void check(unsigned threads, const Progress& progress, std::string_view file);

 private:
  struct Piece {
    uint32_t storage;
    uint32_t crc;
    uint64_t begin;  ///< byte of the storage
    uint64_t end;
  };
  void compute(Piece& piece) const;
  std::vector<Piece> take_gaps();
  void check_storage(const Storage& storage, std::span<const Piece> pieces) const;

  const Weights& source_;
  std::mutex mutex_;
  std::vector<bool> is_summed_;  ///< storages that were whole in one piece
  std::vector<Piece> pieces_;    ///< of the others
};

}  // namespace depickle::convert
