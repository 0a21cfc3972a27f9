#include "server/hub/git/tree_editor.h"

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::git {

struct TreeEditor::Item {
  File object;
  std::shared_ptr<Folder> folder;  // null until it is read

  bool is_folder() const { return object.mode == GIT_FILEMODE_TREE; }
};

struct TreeEditor::Folder {
  std::map<std::string, Item, std::less<>> items;
  bool changed = false;
};

TreeEditor::TreeEditor(const Repository& git, const git_oid* tree) : git_(git), root_(std::make_shared<Folder>()) {
  if (!tree) return;
  Item item{{*tree, GIT_FILEMODE_TREE}, nullptr};
  load(item);
  root_ = item.folder;
}

TreeEditor::Folder& TreeEditor::load(Item& item) {
  if (item.folder) return *item.folder;
  item.folder = std::make_shared<Folder>();
  OwnedTree tree = git_.tree(item.object.oid);
  for (size_t i = 0; i < git_tree_entrycount(tree.get()); ++i) {
    const git_tree_entry* entry = git_tree_entry_byindex(tree.get(), i);
    item.folder->items.emplace(
        git_tree_entry_name(entry), Item{{*git_tree_entry_id(entry), git_tree_entry_filemode(entry)}, nullptr});
  }
  return *item.folder;
}

TreeEditor::Folder* TreeEditor::parent_of(std::string_view path, bool create, std::string_view& name) {
  Folder* folder = root_.get();
  for (size_t begin = 0;;) {
    size_t slash = path.find('/', begin);
    name = path.substr(begin, slash - begin);
    if (create) folder->changed = true;
    if (slash == path.npos) return folder;
    auto at = folder->items.find(name);
    if (at == folder->items.end()) {
      if (!create) return nullptr;
      at = folder->items.emplace(name, Item{{git_oid{}, GIT_FILEMODE_TREE}, std::make_shared<Folder>()}).first;
    }
    if (!at->second.is_folder()) {
      if (!create) return nullptr;
      throw StoreError(StoreReason::malformed,
          fmt::format("{} cannot be written: {} is a file, not a folder", quoted(path), quoted(path.substr(0, slash))));
    }
    folder = &load(at->second);
    begin = slash + 1;
  }
}

std::optional<TreeEditor::File> TreeEditor::find_file(std::string_view path) {
  std::string_view name;
  Folder* folder = parent_of(path, false, name);
  if (!folder) return std::nullopt;
  auto at = folder->items.find(name);
  if (at == folder->items.end() || at->second.is_folder()) return std::nullopt;
  return at->second.object;
}

void TreeEditor::put(std::string_view path, const File& file) {
  std::string_view name;
  Folder* folder = parent_of(path, true, name);
  auto at = folder->items.find(name);
  if (at != folder->items.end() && at->second.is_folder()) {
    throw StoreError(StoreReason::malformed, fmt::format("{} cannot be written: it is a folder", quoted(path)));
  }
  folder->items.insert_or_assign(std::string(name), Item{file, nullptr});
}

bool TreeEditor::remove(std::string_view path, bool is_folder) {
  std::string_view name;
  Folder* folder = parent_of(path, false, name);
  if (!folder) return false;
  auto at = folder->items.find(name);
  if (at == folder->items.end() || at->second.is_folder() != is_folder) return false;
  folder->items.erase(at);
  // Marks the folders on the way as changed.
  Folder* marked = parent_of(path, true, name);
  // Git stores no empty folders, so later operations must not find one.
  if (marked->items.empty() && path.find('/') != path.npos) remove(path.substr(0, path.rfind('/')), true);
  return true;
}

bool TreeEditor::remove_file(std::string_view path) { return remove(path, false); }
bool TreeEditor::remove_folder(std::string_view path) { return remove(path, true); }

static git_oid write_tree(git_treebuilder* builder) {
  git_oid oid;
  check_git(git_treebuilder_write(&oid, builder), "write a tree");
  return oid;
}

TreeEditor::OwnedBuilder TreeEditor::build(Folder& folder) {
  git_treebuilder* created = nullptr;
  check_git(git_treebuilder_new(&created, git_.get(), nullptr), "build a tree");
  OwnedBuilder builder(created);
  for (auto& [name, item] : folder.items) {
    if (item.folder && item.folder->changed) {
      OwnedBuilder child = build(*item.folder);
      if (git_treebuilder_entrycount(child.get()) == 0) continue;  // git has no empty folders
      item.object.oid = write_tree(child.get());
    }
    if (git_treebuilder_insert(nullptr, created, name.c_str(), &item.object.oid, item.object.mode) != 0) {
      throw StoreError(StoreReason::malformed, fmt::format("git does not accept the file name {}", quoted(name)));
    }
  }
  return builder;
}

git_oid TreeEditor::write() { return write_tree(build(*root_).get()); }

}  // namespace depickle::server::git
