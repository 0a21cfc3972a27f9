// Receiver of xet uploads: xorbs (packs of chunks) and shards (which chunks make which file), made into LFS objects.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/bytes.h"

namespace depickle::server {

struct StoreParts;

class XorbUpload {
 public:
  XorbUpload(StoreParts& parts, std::string user, std::string hash);
  ~XorbUpload();
  XorbUpload(XorbUpload&&) noexcept;

  /// Throws StoreError{too_large}, Error{io}.
  void append(Bytes bytes);
  /// False where the user has a xorb of this name already: it stays. Throws StoreError{malformed} where the heads of the chunks do not add up.
  bool finish();

 private:
  struct Body;
  std::unique_ptr<Body> body_;
};

/// Xorbs belong to the user who sent them: another's is unknown. Their hashes are taken as names; what is proved is each file's SHA-256.
/// They are kept, since a client's later shards name them again without sending them. Safe to use from several threads.
class Xet {
 public:
  explicit Xet(StoreParts& parts) : parts_(parts) {}

  /// Goes into the path of the CAS address: clients remember by that address what a store holds, and a new store has another id.
  const std::string& store_id() const noexcept;
  /// `hash`: 64 hexadecimal digits, as in the address. Throws StoreError{malformed}.
  XorbUpload xorb(std::string_view user, std::string_view hash);
  /// Makes each file of the shard an LFS object that `user` has uploaded → their SHA-256. Chunk by chunk, in bounded memory.
  /// Throws StoreError{malformed}: a shard that breaks the format, an unknown xorb, a file without SHA-256 or with a wrong one; {too_large}.
  std::vector<std::string> take_shard(std::string_view user, Bytes shard);

 private:
  StoreParts& parts_;
};

}  // namespace depickle::server
