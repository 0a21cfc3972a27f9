#include "server/hub/repos/change.h"

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/git/digits.h"
#include "server/hub/git/names.h"
#include "server/hub/git/pointer.h"
#include "server/hub/git/store_error.h"
#include "server/hub/repos/store_parts.h"

namespace depickle::server::repos {
namespace {

constexpr uint64_t kMaxSmallBytes = 1 << 20;

bool is_git_file(std::string_view path) {
  std::string_view name = path.substr(path.rfind('/') + 1);
  return name == ".gitattributes" || name == ".gitignore";
}

}  // namespace

std::optional<std::string> read_small(const git::Repository& git, git::TreeEditor& editor, const std::string& path) {
  std::optional<git::TreeEditor::File> file = editor.find_file(path);
  if (!file || file->mode == GIT_FILEMODE_COMMIT || git.blob_bytes(file->oid) > kMaxSmallBytes) return std::nullopt;
  return git.blob(file->oid);
}

bool may_be_lfs(std::string_view path, uint64_t size_bytes) { return size_bytes > 0 && !is_git_file(path); }

Change::Change(
    StoreParts& parts, const Repo& repo, const git::Repository& git, const git_oid& base_commit, const Caller& author)
    : parts_(parts),
      repo_(repo),
      git_(git),
      author_(author),
      base_commit_(git::hex(base_commit)),
      editor_(git, git_commit_tree_id(git.commit(base_commit).get())),
      attributes_([this](const std::string& path) {
        auto at = new_attributes_.find(path);
        return at != new_attributes_.end() ? std::optional(at->second) : read_small(git_, editor_, path);
      }) {}

std::string Change::checked(std::string_view path) const { return git::checked_path(path, parts_.limits.path_bytes); }

void Change::apply(std::vector<Operation>& operations, const std::function<void()>& check) {
  if (operations.size() > parts_.limits.commit_operations) {
    throw StoreError(StoreReason::too_large, fmt::format("the commit has {} operations (at most {})",
                                                 grouped(operations.size()), grouped(parts_.limits.commit_operations)));
  }
  // The .gitattributes files of a commit apply to the whole commit, so they are read first.
  for (Operation& operation : operations) {
    auto* add = std::get_if<AddFile>(&operation);
    if (add && is_git_file(add->path) && add->content.size_bytes() <= kMaxSmallBytes)
      new_attributes_[add->path] = add->content.all();
  }
  for (Operation& operation : operations) {
    if (check) check();
    std::visit([this](auto& one) { run(one); }, operation);
  }
}

void Change::run(AddFile& add) {
  std::string path = checked(add.path);
  uint64_t size_bytes = add.content.size_bytes();
  inline_bytes_ += size_bytes;
  if (inline_bytes_ > parts_.limits.commit_inline_bytes) {
    throw StoreError(StoreReason::too_large,
        fmt::format("the files in the body of the commit are too large (at most {})",
            human_bytes(parts_.limits.commit_inline_bytes)),
        "upload large files with git-lfs first");
  }
  bool is_large = size_bytes > parts_.limits.regular_file_bytes;
  if (is_large && is_git_file(path))
    throw StoreError(
        StoreReason::too_large, fmt::format("{} is too large (have {}, at most {})", quoted(path),
                                    human_bytes(size_bytes), human_bytes(parts_.limits.regular_file_bytes)));
  // A client may send a pointer as content. It is accepted if the LFS object exists.
  std::optional<git::LfsPointer> pointer =
      size_bytes <= git::kMaxPointerBytes ? git::parse_pointer(add.content.all()) : std::nullopt;
  if (pointer) return run(AddLfsFile{path, pointer->oid, pointer->size_bytes});
  if (!may_be_lfs(path, size_bytes) || !(is_large || attributes_.is_lfs(path))) {
    return editor_.put(path, {git_.write_blob(add.content.all()), GIT_FILEMODE_BLOB});
  }
  content::LfsUpload upload = parts_.lfs.upload(author_.user.name, {}, size_bytes);
  add.content.each_piece([&](Bytes piece) { upload.append(piece); });
  upload.finish();
  run(AddLfsFile{path, upload.oid(), size_bytes});
}

void Change::run(const AddLfsFile& add) {
  std::string path = checked(add.path);
  if (!is_sha256(add.oid))
    throw StoreError(StoreReason::malformed, fmt::format("{}: oid {} is not a SHA-256", quoted(path), quoted(add.oid)));
  if (!parts_.lfs.usable(author_.user.name, repo_.info().key, add.oid)) {
    throw StoreError(StoreReason::malformed,
        fmt::format("{}: the LFS object {} was not uploaded by {}", quoted(path), add.oid, author_.user.name),
        "upload the file before the commit");
  }
  git::LfsPointer pointer{add.oid, parts_.lfs.size_of(add.oid).value_or(0)};
  if (add.size_bytes && *add.size_bytes != pointer.size_bytes) {
    throw StoreError(
        StoreReason::malformed, fmt::format("{}: wrong size of the LFS object {} (have {} bytes, need {})",
                                    quoted(path), add.oid, grouped(*add.size_bytes), grouped(pointer.size_bytes)));
  }
  if (is_git_file(path))
    throw StoreError(StoreReason::malformed, fmt::format("{} cannot be an LFS file", quoted(path)));
  editor_.put(path, {git_.write_blob(git::pointer_text(pointer)), GIT_FILEMODE_BLOB});
  objects_.insert(pointer.oid);
  lfs_paths_.insert(path);
}

void Change::run(const DeleteFile& remove) {
  std::string path = checked(remove.path);
  if (!editor_.remove_file(path))
    throw StoreError(StoreReason::no_entry, fmt::format("A file with this name doesn't exist: {}", quoted(path)));
}

void Change::run(const DeleteFolder& remove) {
  std::string_view name = remove.path;
  if (name.ends_with('/')) name.remove_suffix(1);
  std::string path = checked(name);
  if (!editor_.remove_folder(path))
    throw StoreError(
        StoreReason::no_entry, fmt::format("A file with this name doesn't exist: {}", quoted(remove.path)));
}

void Change::run(const CopyFile& copy) {
  std::string path = checked(copy.path);
  std::string from = copy.from_revision.empty() ? base_commit_ : repo_.commit_at(copy.from_revision);
  git::Entry entry = repo_.entry_at(from, checked(copy.from_path));
  if (!entry.is_file())
    throw StoreError(
        StoreReason::malformed, fmt::format("{} is a folder (only files can be copied)", quoted(copy.from_path)));
  if (entry.lfs) return run(AddLfsFile{path, entry.lfs->oid, entry.lfs->size_bytes});
  editor_.put(path, {git::oid_of(entry.oid), GIT_FILEMODE_BLOB});
}

void Change::add_attribute_lines() {
  git::Attributes attributes([this](const std::string& path) { return read_small(git_, editor_, path); });
  std::string lines;
  for (const std::string& path : lfs_paths_) {
    std::optional<git::TreeEditor::File> file = editor_.find_file(path);
    bool is_pointer =
        file && git_.pointer(file->oid, git_.blob_bytes(file->oid));  // a later operation may have replaced it
    if (is_pointer && !attributes.is_lfs(path)) lines += git::attribute_line(path);
  }
  if (lines.empty()) return;
  std::string content = read_small(git_, editor_, ".gitattributes").value_or("");
  if (!content.empty() && content.back() != '\n') content += '\n';
  editor_.put(".gitattributes", {git_.write_blob(content + lines), GIT_FILEMODE_BLOB});
}

git_oid Change::write() {
  add_attribute_lines();
  return editor_.write();
}

}  // namespace depickle::server::repos
