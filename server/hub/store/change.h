// The tree of a commit in the making: a client's operations, applied to a base. Inside the store only.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "server/hub/store/attributes.h"
#include "server/hub/store/commit.h"
#include "server/hub/store/tree_editor.h"

namespace depickle::server {

/// Content of a file in the tree, where it is small enough to be one of git's own (.gitattributes, .gitignore).
std::optional<std::string> read_small(const Git& git, TreeEditor& editor, const std::string& path);

/// What the preupload and the commit must agree on: git's own files never go to git-lfs, empty ones neither.
bool may_be_lfs(std::string_view path, uint64_t size_bytes);

class Change {
 public:
  Change(StoreParts& parts, const Repo& repo, const Git& git, const git_oid& base_commit, const Caller& author);

  void apply(std::vector<Operation>& operations);
  /// The tree, written, with a line in .gitattributes for each LFS file that had none.
  git_oid write();
  /// LFS objects that the repository now names.
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
  const Git& git_;
  const Caller& author_;
  std::string base_commit_;
  TreeEditor editor_;
  std::map<std::string, std::string> new_attributes_;  // .gitattributes files that the operations bring
  Attributes attributes_;
  std::set<std::string> objects_, lfs_paths_;
  uint64_t inline_bytes_ = 0;
};

}  // namespace depickle::server
