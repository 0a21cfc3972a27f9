// Bytes of a file copied into memory by reads, not through a mapping: on network file systems every page touched is a
// request, so that few large reads from several threads are many times faster.
#pragma once

#include <cstdint>
#include <span>

#include "depickle/formats/safetensors/slice.h"
#include "depickle/os/mapped_file.h"

namespace depickle::python {

/// Bytes [offset, offset + out.size()) of the file.
struct FileRead {
  uint64_t offset;
  MutableBytes out;
};

/// Does all `reads`, in pieces of 8 MiB, on up to 8 threads; no memory beyond `out`. Without the GIL. Throws Error{io},
/// {integrity} for a file that was cut short, and what a signal's handler raises.
void read_all(const os::MappedFile& file, std::span<const FileRead> reads);

/// The same for slice.ranges() of the tensor at `offset`. Ranges that lie near each other are read together.
void read_slice(const os::MappedFile& file, uint64_t offset, const safetensors::Slice& slice, MutableBytes out);

/// Whether reads do better than a mapping, by the type of the file system (NFS, SMB, FUSE, 9p, Lustre, Ceph, virtiofs
/// …).
bool prefers_reads(const os::MappedFile& file) noexcept;

}  // namespace depickle::python
