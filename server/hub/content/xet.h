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
  /// Returns false if the user already had a xorb with this hash, which is replaced. Throws StoreError{malformed} if
  /// the chunk headers are not consistent with the size.
  bool finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A xorb can only be used by the user who uploaded it. Its hash serves as a name and is not checked; the SHA-256 of
/// each file is. Xorbs are kept: later shards of a client refer to them without a new upload. Safe to use from
/// several threads.
class Xet {
 public:
  Xet(Context& context, Lfs& lfs) : context_(context), lfs_(lfs) {}

  /// `hash` is 64 hexadecimal digits, as in the address. Throws StoreError{malformed}.
  XorbUpload xorb(std::string_view user, std::string_view hash);
  /// Makes each file of the shard an LFS object uploaded by `user`, chunk by chunk in bounded memory. Returns the
  /// number of files. Throws StoreError{malformed} for an invalid shard, an unknown xorb, or a missing or wrong
  /// SHA-256; {too_large}.
  uint64_t take_shard(std::string_view user, const ShardBytes& shard);

 private:
  Context& context_;
  Lfs& lfs_;
};

}  // namespace depickle::server::content
