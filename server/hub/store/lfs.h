// LFS objects: large files by their SHA-256.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "depickle/base/bytes.h"
#include "server/hub/store/repos.h"

namespace depickle::server {

struct StoreParts;

/// An upload under way. Without finish() nothing stays.
class LfsUpload {
 public:
  LfsUpload(StoreParts& parts, std::string user, std::string oid, std::optional<uint64_t> size_bytes);
  ~LfsUpload();
  LfsUpload(LfsUpload&&) noexcept;

  /// Throws StoreError{too_large} past the promised size, Error{io}.
  void append(Bytes bytes);
  /// Checks size and SHA-256 (StoreError{malformed}), carries the bytes to the disk, names them, and writes down that the user had them.
  void finish();
  /// The object's SHA-256 after finish(); for an upload whose oid was not known before.
  const std::string& oid() const noexcept;
  uint64_t size_bytes() const noexcept;

 private:
  struct Body;
  std::unique_ptr<Body> body_;
};

/// One part of an upload in several: its place in the whole follows from its number.
class LfsPart {
 public:
  LfsPart(
      StoreParts& parts, std::string user, std::string oid, uint64_t size_bytes, uint64_t chunk_bytes, uint64_t number);
  ~LfsPart();
  LfsPart(LfsPart&&) noexcept;

  /// Throws StoreError{too_large} past the part's end, Error{io}.
  void append(Bytes bytes);
  /// The part's ETag (its SHA-256, without quotes). Throws StoreError{malformed} where bytes are missing.
  std::string finish();

 private:
  struct Body;
  std::unique_ptr<Body> body_;
};

/// Who may use an object: to know a SHA-256 is not to have the bytes, else anybody could read another's private weights by committing
/// a pointer to them. So a commit may name an object only if its author has uploaded it, or if this repository has it already;
/// and it is readable through a repository only if one of its commits names it, or by the user who uploaded it.
///
/// Safe to use from several threads.
class Lfs {
 public:
  explicit Lfs(StoreParts& parts) : parts_(parts) {}

  /// Whether an upload may be skipped: the object is here, and the user or the repository may use it.
  bool usable(std::string_view user, const RepoInfo& repo, std::string_view oid) const;
  /// Whether the user has sent it himself.
  bool uploaded(std::string_view user, std::string_view oid) const;
  /// Its file, where it may be read through `repo` by `reader` (null: nobody).
  std::optional<std::filesystem::path> readable(const RepoInfo& repo, std::string_view oid, const Caller* reader) const;
  /// Size of an object, whosever it is. Not for answers.
  std::optional<uint64_t> size_of(std::string_view oid) const;

  /// `oid` empty: not known yet. Throws StoreError{malformed} for what is no SHA-256, {too_large}.
  LfsUpload upload(std::string_view user, std::string_view oid, std::optional<uint64_t> size_bytes);

  /// Parts, numbered from 1, each `chunk_bytes` long but the last. They stay over a restart; one that came twice counts once.
  LfsPart part(std::string_view user, std::string_view oid, uint64_t size_bytes, uint64_t chunk_bytes, uint64_t number);
  bool has_part(std::string_view user, std::string_view oid, uint64_t chunk_bytes, uint64_t number) const;
  /// Reads the whole back and checks its SHA-256; a wrong one leaves nothing. Throws StoreError{malformed} where parts are missing.
  void complete(std::string_view user, std::string_view oid, uint64_t size_bytes, uint64_t chunk_bytes);

  /// git's SHA-1 of the object's content: what a client compares that sent it inline. Cost: reads it once, then remembers.
  std::string git_sha1(std::string_view oid);

 private:
  StoreParts& parts_;
};

}  // namespace depickle::server
