// A git repository: libgit2 with owners for its handles and exceptions for its errors. Internal to the server/hub
// modules.
#pragma once

#include <git2.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/hub/git/pointer.h"

namespace depickle::server::git {

template <auto free_function>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const noexcept {
    free_function(pointer);
  }
};
template <typename T, auto free_function>
using Owned = std::unique_ptr<T, Deleter<free_function>>;
using OwnedTree = Owned<git_tree, git_tree_free>;
using OwnedCommit = Owned<git_commit, git_commit_free>;
using OwnedBlob = Owned<git_blob, git_blob_free>;

/// Initializes libgit2 once per process. Must be called first: turns fsync on, ignores the user's git configuration,
/// limits the caches.
void init_libgit2();

/// Returns `result` if it is not an error. Otherwise throws Error{io}: "git cannot `what`: ", then libgit2's message.
int check_git(int result, std::string_view what);

std::string hex(const git_oid& oid);
git_oid oid_of(std::string_view digits);  ///< `digits`: 40 hexadecimal digits

/// An open bare repository.
class Repository {
 public:
  /// Throws Error{io}.
  explicit Repository(const std::filesystem::path& folder);
  static void create(const std::filesystem::path& folder);

  git_repository* get() const noexcept { return repository_.get(); }

  bool contains(const git_oid& oid) const;
  OwnedCommit commit(const git_oid& oid) const;
  OwnedTree tree(const git_oid& oid) const;
  OwnedTree tree_of_commit(const git_oid& oid) const;
  std::string blob(const git_oid& oid) const;
  uint64_t blob_bytes(const git_oid& oid) const;
  /// Returns the LFS pointer that the blob contains, if it is one. Reads only blobs of at most kMaxPointerBytes.
  std::optional<LfsPointer> pointer(const git_oid& oid, uint64_t blob_bytes) const;
  git_oid write_blob(std::string_view content) const;
  /// Writes a commit without moving a ref.
  git_oid write_commit(
      const git_oid& tree, const git_oid* parent, std::string_view author, std::string_view message) const;

  /// Returns the commit that the ref with this full name, or the tag that it names, points to.
  std::optional<git_oid> find_ref(const std::string& full_name) const;
  /// Moves the ref from `from` to `to`, or creates it if `from` is null. Returns false if the ref is not at `from`,
  /// or already exists.
  bool set_ref(const std::string& full_name, const git_oid& to, const git_oid* from) const;
  void remove_ref(const std::string& full_name) const;

  /// Syncs the names of new folders of objects. (libgit2 syncs an object and its folder.) Call it after the last object
  /// that a ref or a row will name.
  void sync_object_folders() const;

 private:
  void sync_ref_folders(const std::string& full_name) const;

  Owned<git_repository, git_repository_free> repository_;
};

}  // namespace depickle::server::git
