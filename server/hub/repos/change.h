// Applies the operations of a commit to a tree. Internal to this module.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "server/hub/git/attributes.h"
#include "server/hub/git/tree_editor.h"
#include "server/hub/repos/commit.h"

namespace depickle::server::repos {

/// Returns the content of a file of the tree, or nullopt if it does not exist or has more than 1 MiB.
std::optional<std::string> read_small(const git::Repository& git, git::TreeEditor& editor, const std::string& path);

/// Returns false for git's own files and for empty ones, which never become LFS objects. The preupload and the commit
/// must agree on it.
bool may_be_lfs(std::string_view path, uint64_t size_bytes);

/// The new tree of a commit.
class Change {
 public:
  Change(StoreParts& parts, const Repo& repo, const git::Repository& git, const git_oid& base_commit,
      const Caller& author);

  /// Calls `check`, if it is set, before each operation, and throws what it throws.
  void apply(std::vector<Operation>& operations, const std::function<void()>& check = {});
  /// Adds a line to .gitattributes for each LFS file that no line matches, and writes the tree.
  git_oid write();
  /// The LFS objects that the new tree added.
  const std::set<std::string>& objects() const noexcept { return objects_; }

 private:
  void run(AddFile& add);
  void run(const AddLfsFile& add);
  void run(const DeleteFile& remove);
  void run(const DeleteFolder& remove);
  void run(const CopyFile& copy);
  std::string checked(std::string_view path) const;
  void add_attribute_lines();

  StoreParts& parts_;
  const Repo& repo_;
  const git::Repository& git_;
  const Caller& author_;
  std::string base_commit_;
  git::TreeEditor editor_;
  std::map<std::string, std::string> new_attributes_;  // .gitattributes files in the operations
  git::Attributes attributes_;
  std::set<std::string> objects_, lfs_paths_;
  uint64_t inline_bytes_ = 0;
};

}  // namespace depickle::server::repos
