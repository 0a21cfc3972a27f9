// How much one client may ask of the store.
#pragma once

#include <cstdint>

namespace depickle::server {

struct Limits {
  uint64_t regular_file_bytes = 10'000'000;      ///< a larger file becomes an LFS object, however it came
  uint64_t lfs_file_bytes = 200'000'000'000;     ///< one LFS object, and what one shard reassembles to
  uint64_t xorb_bytes = (64 << 20) + (1 << 20);  ///< 64 MiB of chunks and their heads
  uint64_t shard_bytes = 64 << 20;               ///< kept in memory while it is read
  uint64_t commit_operations = 25'000;           ///< of one commit
  uint64_t commit_inline_bytes = 1'000'000'000;  ///< content that came in the body of one commit, decoded
  uint64_t path_bytes = 4096;                    ///< of one file name in a repository
  uint64_t title_bytes = 512;                    ///< of a commit, discussion or pull request
  uint64_t text_bytes = 64 << 10;                ///< of a comment or commit message
  uint64_t diff_bytes = 256 << 10;               ///< a longer diff is cut
  uint64_t repository_files = 100'000;           ///< in one revision
};

}  // namespace depickle::server
