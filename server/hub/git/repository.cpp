#include "server/hub/git/repository.h"

#include <mutex>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "server/base/sync.h"

namespace depickle::server::git {

void init_libgit2() {
  static std::once_flag once;
  std::call_once(once, [] {
    git_libgit2_init();
    git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, 1);
    for (int level :
        {GIT_CONFIG_LEVEL_SYSTEM, GIT_CONFIG_LEVEL_GLOBAL, GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_PROGRAMDATA}) {
      git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, level, "");
    }
    // The data folder may belong to another user: whoever started the server chose it.
    git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
    // The caller has just written or read every object that a new tree or commit refers to.
    git_libgit2_opts(GIT_OPT_ENABLE_STRICT_OBJECT_CREATION, 0);
    git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, ssize_t{8} << 20);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_SIZE, size_t{4} << 20);
    git_libgit2_opts(GIT_OPT_SET_MWINDOW_MAPPED_LIMIT, size_t{64} << 20);
  });
}

int check_git(int result, std::string_view what) {
  if (result >= 0) return result;
  const git_error* error = git_error_last();
  throw Error(
      Code::io, "", fmt::format("git cannot {}: {}", what, error ? printable(error->message) : "unknown error"));
}

std::string hex(const git_oid& oid) {
  std::string digits(GIT_OID_HEXSZ, '0');
  git_oid_fmt(digits.data(), &oid);
  return digits;
}

git_oid oid_of(std::string_view digits) {
  git_oid oid;
  check_git(git_oid_fromstrn(&oid, digits.data(), digits.size()), "read an object id");
  return oid;
}

Repository::Repository(const std::filesystem::path& folder) {
  git_repository* repository = nullptr;
  check_git(git_repository_open_bare(&repository, folder.c_str()), "open the repository");
  repository_.reset(repository);
}

void Repository::create(const std::filesystem::path& folder) {
  git_repository_init_options options;
  git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
  options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR | GIT_REPOSITORY_INIT_MKPATH;
  options.initial_head = "main";
  git_repository* repository = nullptr;
  check_git(git_repository_init_ext(&repository, folder.c_str(), &options), "create the repository");
  git_repository_free(repository);
}

bool Repository::contains(const git_oid& oid) const {
  git_odb* odb = nullptr;
  check_git(git_repository_odb(&odb, get()), "open the object database");
  Owned<git_odb, git_odb_free> owned(odb);
  return git_odb_exists(odb, &oid) == 1;
}

OwnedCommit Repository::commit(const git_oid& oid) const {
  git_commit* commit = nullptr;
  check_git(git_commit_lookup(&commit, get(), &oid), "read a commit");
  return OwnedCommit(commit);
}

OwnedTree Repository::tree(const git_oid& oid) const {
  git_tree* tree = nullptr;
  check_git(git_tree_lookup(&tree, get(), &oid), "read a tree");
  return OwnedTree(tree);
}

OwnedTree Repository::tree_of_commit(const git_oid& oid) const { return tree(*git_commit_tree_id(commit(oid).get())); }

std::string Repository::blob(const git_oid& oid) const {
  git_blob* found = nullptr;
  check_git(git_blob_lookup(&found, get(), &oid), "read a blob");
  OwnedBlob blob(found);
  return {static_cast<const char*>(git_blob_rawcontent(found)), static_cast<size_t>(git_blob_rawsize(found))};
}

uint64_t Repository::blob_bytes(const git_oid& oid) const {
  git_odb* odb = nullptr;
  check_git(git_repository_odb(&odb, get()), "open the object database");
  Owned<git_odb, git_odb_free> owned(odb);
  size_t size_bytes = 0;
  git_object_t type = GIT_OBJECT_INVALID;
  check_git(git_odb_read_header(&size_bytes, &type, odb, &oid), "read an object header");
  return size_bytes;
}

std::optional<LfsPointer> Repository::pointer(const git_oid& oid, uint64_t blob_bytes) const {
  if (blob_bytes > kMaxPointerBytes) return std::nullopt;
  return parse_pointer(blob(oid));
}

git_oid Repository::write_blob(std::string_view content) const {
  git_oid oid;
  check_git(git_blob_create_from_buffer(&oid, get(), content.data(), content.size()), "write a blob");
  return oid;
}

git_oid Repository::write_commit(
    const git_oid& tree_oid, const git_oid* parent, std::string_view author, std::string_view message) const {
  git_signature* created = nullptr;
  std::string name(author), mail = name + "@users.noreply.invalid", text(message);
  check_git(git_signature_now(&created, name.c_str(), mail.c_str()), "create a signature");
  Owned<git_signature, git_signature_free> signature(created);
  created->when.offset = 0;
  OwnedTree tree_object = tree(tree_oid);
  OwnedCommit parent_object = parent ? commit(*parent) : nullptr;
  const git_commit* parents[] = {parent_object.get()};
  git_oid oid;
  check_git(git_commit_create(&oid, get(), nullptr, created, created, "UTF-8", text.c_str(), tree_object.get(),
                parent ? 1 : 0, parents),
      "write a commit");
  sync_object_folders();
  return oid;
}

std::optional<git_oid> Repository::find_ref(const std::string& full_name) const {
  int valid = 0;
  if (git_reference_name_is_valid(&valid, full_name.c_str()) != 0 || !valid) return std::nullopt;
  git_reference* found = nullptr;
  int result = git_reference_lookup(&found, get(), full_name.c_str());
  if (result == GIT_ENOTFOUND) return std::nullopt;
  check_git(result, "read a ref");
  Owned<git_reference, git_reference_free> ref(found);
  git_object* peeled = nullptr;
  if (git_reference_peel(&peeled, found, GIT_OBJECT_COMMIT) != 0) return std::nullopt;
  Owned<git_object, git_object_free> commit_object(peeled);
  return *git_object_id(peeled);
}

bool Repository::set_ref(const std::string& full_name, const git_oid& to, const git_oid* from) const {
  git_reference* created = nullptr;
  int result = from ? git_reference_create_matching(&created, get(), full_name.c_str(), &to, 1, from, nullptr)
                    : git_reference_create(&created, get(), full_name.c_str(), &to, 0, nullptr);
  Owned<git_reference, git_reference_free> ref(created);
  if (result == GIT_EMODIFIED || result == GIT_EEXISTS || result == GIT_ENOTFOUND) return false;
  check_git(result, "move a ref");
  sync_ref_folders(full_name);
  return true;
}

void Repository::remove_ref(const std::string& full_name) const {
  check_git(git_reference_remove(get(), full_name.c_str()), "remove a ref");
  sync_ref_folders(full_name);
}

void Repository::sync_object_folders() const {
  sync_folder(std::filesystem::path(git_repository_path(get())) / "objects");
}

// libgit2 creates and removes folders of refs without a sync.
void Repository::sync_ref_folders(const std::string& full_name) const {
  const std::filesystem::path root(git_repository_path(get()));
  for (std::filesystem::path name = std::filesystem::path(full_name).parent_path(); !name.empty();
      name = name.parent_path()) {
    if (std::filesystem::is_directory(root / name)) sync_folder(root / name);
  }
}

}  // namespace depickle::server::git
