// The limits of the store.
#pragma once

#include <cstdint>
#include <optional>

namespace depickle::server {

struct StoreLimits {
  uint64_t regular_file_bytes = 10'000'000;      ///< a larger file becomes an LFS object, however it was sent
  uint64_t lfs_file_bytes = 200'000'000'000;     ///< one LFS object, and all files of one shard
  uint64_t xorb_bytes = (64 << 20) + (1 << 20);  ///< 64 MiB of chunks and their headers
  uint64_t shard_bytes = 64 << 20;               ///< in memory while it is read
  uint64_t commit_operations = 25'000;           ///< in one commit
  uint64_t commit_inline_bytes = 1'000'000'000;  ///< decoded content in the body of one commit
  uint64_t path_bytes = 4096;                    ///< one file name in a repository
  uint64_t title_bytes = 512;                    ///< of a commit, discussion or pull request
  uint64_t text_bytes = 64 << 10;                ///< of a comment or commit message
  uint64_t diff_bytes = 256 << 10;               ///< a longer diff is cut
  uint64_t repository_files = 100'000;           ///< in one revision
  /// Bytes that a user has uploaded and no commit names. Ten times a large model; a client uploads all files of a
  /// commit first.
  uint64_t uncommitted_bytes = 1'000'000'000'000;
  std::optional<uint64_t> user_bytes;     ///< all bytes that a user has uploaded; no limit by default
  std::optional<uint64_t> reserve_bytes;  ///< free space that uploads leave; by default max(1 GiB, 2 % of the disk)
};

}  // namespace depickle::server
