// Edits a git tree. Internal to the server/hub modules.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/hub/git/repository.h"

namespace depickle::server::git {

/// Reads only the folders on the way to a requested path; writes only those that changed. The caller has checked the
/// paths (names.h).
class TreeEditor {
 public:
  struct File {
    git_oid oid;
    git_filemode_t mode;
  };

  TreeEditor(const Repository& git, const git_oid* tree);

  std::optional<File> find_file(std::string_view path);
  /// Throws StoreError{malformed} if `path` is a folder, or one of its folders is a file.
  void put(std::string_view path, const File& file);
  /// Returns false if the file (folder) does not exist.
  bool remove_file(std::string_view path);
  bool remove_folder(std::string_view path);

  /// Writes the new tree without empty folders.
  git_oid write();

 private:
  struct Folder;
  struct Item;
  Folder& load(Item& item);
  // Returns the folder that contains `path` and sets `name` to the last component. Returns null if it does not exist
  // and `create` is false.
  Folder* parent_of(std::string_view path, bool create, std::string_view& name);
  bool remove(std::string_view path, bool folder);
  using OwnedBuilder = Owned<git_treebuilder, git_treebuilder_free>;
  OwnedBuilder build(Folder& folder);

  const Repository& git_;
  std::shared_ptr<Folder> root_;
};

}  // namespace depickle::server::git
