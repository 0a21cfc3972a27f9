// LFS objects: large files, stored by their SHA-256.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "depickle/base/bytes.h"

namespace depickle::server::content {

struct Context;

/// An upload in one request. Without finish() the bytes are removed.
class LfsUpload {
 public:
  LfsUpload(Context& context, std::string user, std::string oid, std::optional<uint64_t> size_bytes);
  ~LfsUpload();
  LfsUpload(LfsUpload&&) noexcept;

  /// Throws StoreError{too_large} past the announced size, Error{io}.
  void append(Bytes bytes);
  /// Checks size and SHA-256, syncs the file, gives it its name, and records that the user has uploaded it. Throws
  /// StoreError{malformed} if the size or the SHA-256 is not the announced one.
  void finish();
  /// The object's SHA-256. Valid after finish() if the oid was not announced.
  const std::string& oid() const noexcept;
  uint64_t size_bytes() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// One part of an upload in several requests, in a file of its own. Its number determines its offset. Without finish()
/// the bytes are removed.
class LfsPart {
 public:
  LfsPart(
      Context& context, std::string user, std::string oid, uint64_t size_bytes, uint64_t part_bytes, uint64_t number);
  ~LfsPart();
  LfsPart(LfsPart&&) noexcept;

  /// Throws StoreError{too_large} past the part's end, Error{io}.
  void append(Bytes bytes);
  /// Adds the part to the upload, in place of an earlier one with its number. Drops it if the user has uploaded the
  /// object. Returns the part's ETag (its SHA-256, without quotes). Throws StoreError{malformed} if bytes are missing.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Knowing a SHA-256 does not give access to the bytes; otherwise anybody could read private weights by committing a
/// pointer to them. A commit may refer to an object only if its author has uploaded the object, or if the repository
/// already contains it. An object is readable through a repository only if one of its commits refers to it, or by the
/// user who uploaded it.
///
/// `repo` is the key of a repository; `user` is a user's name, empty for an anonymous request. Safe to use from
/// several threads.
class Lfs {
 public:
  explicit Lfs(Context& context) : context_(context) {}

  /// Returns whether an upload is unnecessary: the object exists, and the user or the repository may use it. Then the
  /// client relies on the object, so it is kept as if it was uploaded now.
  bool usable(std::string_view user, int64_t repo, std::string_view oid) const;
  /// Returns whether the user has uploaded the object.
  bool uploaded(std::string_view user, std::string_view oid) const;
  /// Returns the object's file if `user` may read it through `repo`.
  std::optional<std::filesystem::path> readable(int64_t repo, std::string_view oid, std::string_view user) const;
  /// Returns the size of an object without a check of rights. Do not send it to a client.
  std::optional<uint64_t> size_of(std::string_view oid) const;

  /// `oid` is empty if it is not known yet. Throws StoreError{malformed} if it is not a SHA-256; {too_large}.
  LfsUpload upload(std::string_view user, std::string_view oid, std::optional<uint64_t> size_bytes);

  /// Parts are numbered from 1; all but the last have `part_bytes`. They survive a restart. A part that is sent again
  /// replaces the old one when it is complete. Throws StoreError{malformed, too_large}.
  LfsPart part(std::string_view user, std::string_view oid, uint64_t size_bytes, uint64_t part_bytes, uint64_t number);
  bool has_part(std::string_view user, std::string_view oid, uint64_t part_bytes, uint64_t number) const;
  /// Joins the parts in a new file and makes it an object. Does nothing if the user has uploaded the object. Removes
  /// each part when it is joined, so the disk needs space for one more part only. Throws StoreError{malformed} if parts
  /// are missing, or if the SHA-256 is wrong, which removes all parts; {conflict} if another call joins them.
  void complete(std::string_view user, std::string_view oid, uint64_t size_bytes, uint64_t part_bytes);

  /// Returns git's SHA-1 of the object's content, which a client compares if it sends the file inline. Reads the
  /// object the first time and stores the result.
  std::string git_sha1(std::string_view oid);

 private:
  bool may_use(std::string_view user, int64_t repo, std::string_view oid) const;

  Context& context_;
  std::mutex joining_mutex_;
  std::set<std::string, std::less<>> joining_;  ///< the uploads of running complete(): USER/OID
};

}  // namespace depickle::server::content
