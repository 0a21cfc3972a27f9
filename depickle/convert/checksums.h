// Checks the CRC-32 that a container records for each storage. torch writes these checksums and never reads them.
#pragma once

#include <mutex>
#include <vector>

#include "depickle/base/parallel.h"
#include "depickle/base/progress.h"
#include "depickle/weights/weights.h"

namespace depickle::convert {

/// Computes the CRC-32 of every storage for which the container records one, from pieces in any order. Pieces that were
/// just read cost little, because they are in the processor's cache.
class Checksums {
 public:
  explicit Checksums(const Weights& source) : source_(source), is_checked_(source.storages().size()) {}

  /// Adds bytes [begin, end) of a tensor; does nothing if the tensor is not contiguous. Thread-safe. Throws as check()
  /// if the piece is a complete storage, as in most checkpoints.
  void piece(const Tensor& tensor, uint64_t begin, uint64_t end);
  /// Computes the bytes that no piece has covered, then compares all checksums. Throws Error{integrity} (ZP12) with the
  /// storage and its offset if a checksum differs from the container's: the file was damaged after it was written.
  /// Storages without a checksum pass.
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
  std::vector<bool> is_checked_;  ///< storages that were one piece
  std::vector<Piece> pieces_;     ///< of the other storages
};

}  // namespace depickle::convert
