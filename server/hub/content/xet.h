// Receives xet uploads: xorbs (packs of chunks) and shards (which chunks make up each file), and makes LFS objects of
// them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "depickle/base/bytes.h"

namespace depickle::server::content {

struct Context;
struct ShardBytes;
class Lfs;

class XorbUpload {
 public:
  XorbUpload(Context& context, std::string user, std::string hash);
  ~XorbUpload();
  XorbUpload(XorbUpload&&) noexcept;

  /// Throws StoreError{too_large}, Error{io}.
  void append(Bytes bytes);
  /// Returns false if the user already had the xorb. Throws StoreError{malformed} if a chunk is damaged, or if the hash
  /// is wrong.
  bool finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A xorb can only be used by the user who uploaded it. Later shards of a client may refer to a xorb without a new
/// upload, as long as the objects with its bytes exist: when a shard has made objects of a xorb, only the places of its
/// chunks in them are stored. Safe to use from several threads.
class Xet {
 public:
  Xet(Context& context, Lfs& lfs) : context_(context), lfs_(lfs) {}

  /// `hash` is 64 hexadecimal digits, as in the address. Throws StoreError{malformed, over_quota, no_space}.
  XorbUpload xorb(std::string_view user, std::string_view hash, uint64_t announced_bytes = 0);
  /// Returns a number that is part of the address of the user's uploads. It changes when xorbs may be missing.
  int64_t generation(std::string_view user) const;
  /// Makes each file of the shard an LFS object uploaded by `user`, chunk by chunk in bounded memory. Returns the
  /// number of files. Throws StoreError{malformed} for an invalid shard, an unknown xorb, or a missing or wrong
  /// SHA-256; {too_large, over_quota, no_space}.
  uint64_t take_shard(std::string_view user, const ShardBytes& shard);

 private:
  void check_space(std::string_view user, const ShardBytes& shard, uint64_t all_bytes);

  Context& context_;
  Lfs& lfs_;
};

}  // namespace depickle::server::content
