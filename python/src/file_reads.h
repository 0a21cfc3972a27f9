// Reads bytes of a file into memory instead of mapping them. On network file systems every page fault of a mapping is a
// request, so a few large reads on several threads are many times faster.
#pragma once

#include <cstdint>
#include <span>

#include "depickle/formats/safetensors/slice.h"
#include "depickle/os/mapped_file.h"

namespace depickle::python {

/// A read of the file's bytes [offset, offset + out.size()).
struct FileRead {
  uint64_t offset;
  MutableBytes out;
};

/// Performs `reads` in pieces of 8 MiB on up to 8 threads, without memory beyond `out`. Call it without the GIL. Throws
/// Error{io}, Error{integrity} if the file was truncated, and the exception of a signal handler.
void read_all(const os::MappedFile& file, std::span<const FileRead> reads);

/// Reads slice.ranges() of the tensor at `offset`. Ranges that are close together are merged into one read.
void read_slice(const os::MappedFile& file, uint64_t offset, const safetensors::Slice& slice, MutableBytes out);

/// Whether reads are faster than a mapping, by the type of the file system (NFS, SMB, FUSE, 9p, Lustre, Ceph, virtiofs
/// …).
bool prefers_reads(const os::MappedFile& file) noexcept;

}  // namespace depickle::python
