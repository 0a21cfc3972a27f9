// What lfs.cpp and lfs_parts.cpp share.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>

#include "depickle/base/bytes.h"
#include "depickle/os/file_descriptor.h"
#include "server/base/temporary_file.h"
#include "server/hub/content/context.h"

namespace depickle::server::content {

/// Throws StoreError{malformed} if `oid` is not a SHA-256.
void check_oid(std::string_view oid);
/// Returns whether `user` has uploaded the object.
bool has_uploaded(const Context& context, std::string_view user, std::string_view oid);
/// Makes `file` the object `oid`, unless it exists, and records that `user` has uploaded it.
void publish_object(
    Context& context, TemporaryFile& file, std::string_view user, std::string_view oid, uint64_t size_bytes);
/// Throws StoreError{malformed}: the upload has SHA-256 `found`.
[[noreturn]] void throw_wrong_sha256(std::string_view found, std::string_view oid);

/// Calls `take` with the whole file, in pieces of at most 1 MiB.
template <typename Take>
void read_pieces(const os::FileDescriptor& fd, const std::filesystem::path& file, Take take) {
  std::string buffer(1 << 20, '\0');
  MutableBytes out = std::as_writable_bytes(std::span(buffer));
  for (uint64_t offset = 0;;) {
    size_t count = os::read_all_at(fd.get(), offset, out, file.string());
    if (count == 0) return;
    take(Bytes(out.first(count)));
    offset += count;
  }
}

}  // namespace depickle::server::content
