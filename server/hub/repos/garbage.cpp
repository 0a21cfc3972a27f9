#include "server/hub/repos/garbage.h"

#include <set>
#include <unordered_set>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "server/base/folder_lock.h"
#include "server/hub/content/object_uses.h"
#include "server/hub/content/trash.h"
#include "server/hub/git/repository.h"
#include "server/hub/repos/schema.h"

namespace depickle::server::repos {
namespace {

namespace fs = std::filesystem;

// The LFS objects that the commits of a repository name, also in their history.
class NamedObjects {
 public:
  explicit NamedObjects(const git::Repository& git) : git_(git) {}

  std::set<std::string> find() {
    git_revwalk* created = nullptr;
    git::check_git(git_revwalk_new(&created, git_.get()), "walk the history");
    git::Owned<git_revwalk, git_revwalk_free> walk(created);
    git::check_git(git_revwalk_push_glob(created, "refs/*"), "walk the history");
    int result = 0;
    for (git_oid oid; (result = git_revwalk_next(&oid, created)) == 0;) {
      trees_.push_back(*git_commit_tree_id(git_.commit(oid).get()));
      while (!trees_.empty()) read_tree();
    }
    if (result != GIT_ITEROVER) git::check_git(result, "walk the history");
    return std::move(oids_);
  }

 private:
  bool is_new(const git_oid& oid) {
    return seen_.insert(std::string(reinterpret_cast<const char*>(oid.id), sizeof oid.id)).second;
  }

  void read_tree() {
    const git_oid oid = trees_.back();
    trees_.pop_back();
    if (!is_new(oid)) return;
    const git::OwnedTree tree = git_.tree(oid);
    for (size_t i = 0; i < git_tree_entrycount(tree.get()); ++i) {
      const git_tree_entry* entry = git_tree_entry_byindex(tree.get(), i);
      const git_oid& id = *git_tree_entry_id(entry);
      if (git_tree_entry_type(entry) == GIT_OBJECT_TREE) {
        trees_.push_back(id);
      } else if (git_tree_entry_type(entry) == GIT_OBJECT_BLOB && is_new(id)) {
        if (auto pointer = git_.pointer(id, git_.blob_bytes(id))) oids_.insert(pointer->oid);
      }
    }
  }

  const git::Repository& git_;
  std::vector<git_oid> trees_;
  std::unordered_set<std::string> seen_;  // the 20 bytes of blobs and trees
  std::set<std::string> oids_;
};

struct RefState {
  int64_t changes, pending;
  bool operator==(const RefState&) const = default;
};

class Collector {
 public:
  Collector(const fs::path& folder, const GarbageOptions& options)
      : context_{folder, {}, open_store_database(folder)},
        database_(*context_.database),
        options_(options) {}

  Garbage run() {
    if (!options_.dry_run) remove_temporary_files();
    database_.run("CREATE TEMP TABLE dead_references(repo INTEGER, oid TEXT, PRIMARY KEY(repo, oid)) WITHOUT ROWID");
    const std::vector<int64_t> repos = repos_to_read();
    for (uint64_t i = 0; i < repos.size(); ++i) {
      report("read", fmt::format("{} of {} repositories", i + 1, repos.size()));
      try {
        remove_references(repos[i]);
      } catch (const Error& error) {
        garbage_.problems.push_back(
            fmt::format("repository {} cannot be read, so its objects are kept: {}", name(repos[i]), error.what()));
      }
    }
    static_cast<content::RemovedContent&>(garbage_) = content::remove_unused_content(
        context_, options_, [&](uint64_t removed_bytes) { report("delete", human_bytes(removed_bytes)); });
    return std::move(garbage_);
  }

 private:
  void report(std::string_view phase, std::string_view state) const {
    if (options_.progress) options_.progress(phase, state);
  }

  // Without a server, no request writes temporary files. They are deleted with the other files.
  void remove_temporary_files() {
    try {
      const FolderLock lock(context_.folder);
      std::error_code ignored;
      for (const auto& entry : fs::directory_iterator(context_.temporary_folder(), ignored)) {
        content::move_to_trash(context_, entry.path());
      }
    } catch (const Error& error) {
      if (error.reason() != Reason::folder_in_use) throw;
    }
  }

  std::vector<int64_t> repos_to_read() {
    std::vector<int64_t> keys;
    const char* sql = options_.only_changed_repos
                          ? "SELECT key FROM repos JOIN ref_changes ON repo = key WHERE state = 1 AND is_stale = 1"
                          : "SELECT key FROM repos WHERE state = 1";
    database_.each(sql, {}, [&](const Row& row) { keys.push_back(row.number(0)); });
    return keys;
  }

  std::string name(int64_t repo) {
    return database_.text("SELECT owner || '/' || name FROM repos WHERE key = ?", {repo}).value_or("");
  }

  RefState ref_state(int64_t repo) {
    RefState state{};
    database_.each("SELECT changes, pending FROM ref_changes WHERE repo = ?", {repo},
        [&](const Row& row) { state = {row.number(0), row.number(1)}; });
    return state;
  }

  // Removes the rows of objects that no commit names. A commit that changes a ref meanwhile is not in the history that
  // was read: then nothing is removed, and the next collection tries again.
  void remove_references(int64_t repo) {
    const RefState state = ref_state(repo);
    if (state.pending != 0) return;
    std::vector<std::string> recorded, dead;
    database_.each("SELECT oid FROM repo_objects WHERE repo = ?", {repo},
        [&](const Row& row) { recorded.push_back(row.text(0)); });
    if (!recorded.empty()) {
      const git::Repository git(context_.folder / "git" / fmt::format("{}.git", repo));
      const std::set<std::string> named = NamedObjects(git).find();
      for (std::string& oid : recorded) {
        if (!named.contains(oid)) dead.push_back(std::move(oid));
      }
    }
    if (options_.dry_run) {
      for (const std::string& oid : dead) database_.run("INSERT INTO dead_references VALUES(?, ?)", {repo, oid});
      garbage_.references += dead.size();
      return;
    }
    database_.transaction([&] {
      if (ref_state(repo) != state) return;
      for (const std::string& oid : dead) content::release_objects(database_, repo, oid);
      database_.run("UPDATE ref_changes SET is_stale = 0 WHERE repo = ?", {repo});
      garbage_.references += dead.size();
    });
  }

  const content::Context context_;
  Database& database_;
  const GarbageOptions& options_;
  Garbage garbage_;
};

}  // namespace

Garbage collect_garbage(const fs::path& data_folder, const GarbageOptions& options) {
  if (!fs::exists(data_folder / "hub.sqlite"))
    throw Error(Code::not_found, "", "is not a data folder of the Hub", Where::in(data_folder.string()));
  git::init_libgit2();
  return Collector(fs::canonical(data_folder), options).run();
}

}  // namespace depickle::server::repos
