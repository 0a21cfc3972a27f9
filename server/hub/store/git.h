// libgit2 with owners for its handles and exceptions for its results. Inside the store only.
#pragma once

#include <git2.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/hub/store/repo.h"

namespace depickle::server {

template <auto free_function>
struct GitFree {
  template <typename T>
  void operator()(T* pointer) const noexcept {
    free_function(pointer);
  }
};
template <typename T, auto free_function>
using GitOwned = std::unique_ptr<T, GitFree<free_function>>;
using GitTree = GitOwned<git_tree, git_tree_free>;
using GitCommit = GitOwned<git_commit, git_commit_free>;
using GitBlob = GitOwned<git_blob, git_blob_free>;

/// Once a process, before anything else of libgit2: what is written is fsynced, nobody's ~/.gitconfig is read, caches are small.
void start_git();

/// Throws Error{io} with libgit2's own words where `result` is an error; else gives it back.
int git_checked(int result, std::string_view what);

std::string hex(const git_oid& oid);
git_oid oid_of(std::string_view digits);  ///< 40 of them

/// One opened repository.
class Git {
 public:
  /// Throws Error{io}.
  explicit Git(const std::filesystem::path& folder);
  static void create(const std::filesystem::path& folder);

  git_repository* get() const noexcept { return repository_.get(); }

  bool has(const git_oid& oid) const;
  GitCommit commit(const git_oid& oid) const;
  GitTree tree(const git_oid& oid) const;
  GitTree tree_of_commit(const git_oid& oid) const;
  std::string blob(const git_oid& oid) const;
  uint64_t blob_bytes(const git_oid& oid) const;
  /// The pointer that the blob is, if it is one. Cost: reads only small blobs.
  std::optional<LfsPointer> pointer(const git_oid& oid, uint64_t blob_bytes) const;
  git_oid write_blob(std::string_view content) const;
  /// No ref moves.
  git_oid write_commit(
      const git_oid& tree, const git_oid* parent, std::string_view author, std::string_view message) const;

  /// A ref by its full name → the commit that it (or its tag) names.
  std::optional<git_oid> find_ref(const std::string& full_name) const;
  /// Moves or, where `from` is null, creates the ref. False where it is not at `from`, or exists.
  bool set_ref(const std::string& full_name, const git_oid& to, const git_oid* from) const;

 private:
  GitOwned<git_repository, git_repository_free> repository_;
};

}  // namespace depickle::server
