// A tree of git being changed. Inside the store only.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/hub/store/git.h"

namespace depickle::server {

/// Reads only the folders that are looked into, writes only those that changed. Paths have been checked.
class TreeEditor {
 public:
  struct File {
    git_oid oid;
    git_filemode_t mode;
  };

  TreeEditor(const Git& git, const git_oid* tree);

  std::optional<File> find_file(std::string_view path);
  /// Throws StoreError{malformed} where a folder has that name, or a file that of one of its folders.
  void put(std::string_view path, const File& file);
  /// False where there is no such file (folder).
  bool remove_file(std::string_view path);
  bool remove_folder(std::string_view path);

  /// The new tree, written; folders without files are gone.
  git_oid write();

 private:
  struct Folder;
  struct Item;
  Folder& load(Item& item);
  // The folder that holds `path`, whose last part is left in `name`; null where there is none and `create` is false.
  Folder* parent_of(std::string_view path, bool create, std::string_view& name);
  bool remove(std::string_view path, bool folder);
  std::optional<git_oid> write(Folder& folder);

  const Git& git_;
  std::shared_ptr<Folder> root_;
};

}  // namespace depickle::server
