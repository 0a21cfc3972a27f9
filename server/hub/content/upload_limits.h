// How many bytes a user's uploads may store.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace depickle::server::content {

struct Context;

/// What the uploads of a user store.
struct StoredBytes {
  uint64_t uncommitted = 0;  ///< objects that no commit names, and unfinished uploads in parts
  uint64_t objects = 0;      ///< objects that the user has uploaded, and unfinished uploads in parts
  uint64_t xorbs = 0;
};

/// Compares what an upload will store with the limits, before it begins. Safe to use from several threads.
class UploadLimits {
 public:
  explicit UploadLimits(const Context& context) : context_(context) {}

  /// Throws StoreError{no_space} if `bytes` more would leave less than StoreLimits::reserve_bytes; {over_quota} if the
  /// user would exceed StoreLimits::uncommitted_bytes or user_bytes. Bodies below 1 MiB may use the reserve, so that
  /// small files can be uploaded and deleted on a full disk.
  void check(std::string_view user, uint64_t bytes);
  /// The same for the objects of a shard, which take the place of xorbs: these do not count.
  void check_shard(std::string_view user, uint64_t bytes);
  /// The same for all LFS files of a commit, of which the user may have uploaded some: what no commit names does not
  /// count.
  void check_commit(std::string_view user, uint64_t bytes);
  /// Count an upload that has ended.
  void stored_object(std::string_view user, uint64_t bytes);
  void stored_xorb(std::string_view user, uint64_t bytes);
  /// Call it after a commit has named objects.
  void committed();
  StoredBytes of(std::string_view user) const;

 private:
  struct Cached {
    std::chrono::steady_clock::time_point at;
    StoredBytes bytes;
  };
  void check_space(uint64_t bytes) const;
  StoredBytes cached(std::string_view user);

  const Context& context_;
  std::mutex mutex_;
  /// For 10 s. An upload that ends while the numbers are read may be missing from them.
  std::map<std::string, Cached, std::less<>> cached_;
  uint64_t commits_ = 0;
};

}  // namespace depickle::server::content
