// Of Repo: branches, tags and the other refs.
#include <set>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/store/git.h"
#include "server/hub/store/parts.h"
#include "server/hub/store/pointer.h"
#include "server/hub/store/repo.h"
#include "server/hub/store/store_error.h"

namespace depickle::server {
namespace {

StoreError exists_already(std::string_view what, std::string_view name) {
  return StoreError(StoreReason::exists, fmt::format("{} {} already exists", what, quoted(name)));
}

void remove_ref(const Git& git, const std::string& full_name, std::string_view name) {
  if (!git.find_ref(full_name))
    throw StoreError(StoreReason::no_revision, fmt::format("Invalid rev id: {}", printable(name)));
  git_checked(git_reference_remove(git.get(), full_name.c_str()), "remove a ref");
}

// Every LFS pointer in a tree that was not seen yet.
void collect_pointers(const Git& git, const git_oid& tree_oid, std::set<std::string>& seen,
    std::set<std::string>& pointers, int depth = 0) {
  if (depth > 512 || !seen.insert(hex(tree_oid)).second) return;
  GitTree tree = git.tree(tree_oid);
  for (size_t i = 0; i < git_tree_entrycount(tree.get()); ++i) {
    const git_tree_entry* entry = git_tree_entry_byindex(tree.get(), i);
    const git_oid& oid = *git_tree_entry_id(entry);
    if (git_tree_entry_type(entry) == GIT_OBJECT_TREE) {
      collect_pointers(git, oid, seen, pointers, depth + 1);
    } else if (git_tree_entry_type(entry) == GIT_OBJECT_BLOB && seen.insert(hex(oid)).second) {
      if (std::optional<LfsPointer> pointer = git.pointer(oid, git.blob_bytes(oid))) pointers.insert(pointer->oid);
    }
  }
}

}  // namespace

Refs Repo::refs() const {
  Refs refs;
  std::pair<std::string, std::vector<Ref>*> kinds[] = {{"refs/heads/", &refs.branches}, {"refs/tags/", &refs.tags},
      {"refs/convert/", &refs.converts}, {"refs/pr/", &refs.pull_requests}};
  git_reference_iterator* made = nullptr;
  git_checked(git_reference_iterator_new(&made, git_->get()), "list refs");
  GitOwned<git_reference_iterator, git_reference_iterator_free> iterator(made);
  for (const char* name = nullptr; git_reference_next_name(&name, made) == 0;) {
    std::string full(name);
    for (auto& [prefix, list] : kinds) {
      if (!full.starts_with(prefix)) continue;
      // "pr/1" and "convert/x" keep the folder in their short names.
      std::string short_name = full.substr(list == &refs.pull_requests || list == &refs.converts ? 5 : prefix.size());
      if (std::optional<git_oid> oid = git_->find_ref(full)) list->push_back({short_name, full, hex(*oid)});
    }
  }
  return refs;
}

void Repo::create_branch(std::string_view name, std::string_view from) {
  check_ref_name(name);
  git_oid oid = oid_of(commit_at(from.empty() ? "main" : from));
  if (!git_->set_ref("refs/heads/" + std::string(name), oid, nullptr)) throw exists_already("Branch", name);
}

void Repo::delete_branch(std::string_view name) {
  if (name == "main") throw StoreError(StoreReason::denied, "the branch main stays");
  check_ref_name(name);
  remove_ref(*git_, "refs/heads/" + std::string(name), name);
}

void Repo::create_tag(std::string_view name, std::string_view revision, std::string_view message, std::string_view by) {
  check_ref_name(name);
  std::string full = "refs/tags/" + std::string(name), author(by), mail = author + "@users.noreply.invalid";
  git_oid oid = oid_of(commit_at(revision));
  if (!message.empty()) {
    git_signature* made = nullptr;
    git_checked(git_signature_now(&made, author.c_str(), mail.c_str()), "sign a tag");
    GitOwned<git_signature, git_signature_free> signature(made);
    git_object* object = nullptr;
    git_checked(git_object_lookup(&object, git_->get(), &oid, GIT_OBJECT_COMMIT), "read a commit");
    GitOwned<git_object, git_object_free> target(object);
    git_checked(git_tag_annotation_create(
                    &oid, git_->get(), std::string(name).c_str(), object, made, std::string(message).c_str()),
        "write a tag");
  }
  if (!git_->set_ref(full, oid, nullptr)) throw exists_already("Tag", name);
}

void Repo::delete_tag(std::string_view name) {
  check_ref_name(name);
  remove_ref(*git_, "refs/tags/" + std::string(name), name);
}

void Repo::adopt_push(std::string_view user) {
  std::set<std::string> seen, pointers;
  Refs all = refs();
  for (const std::vector<Ref>* list : {&all.branches, &all.tags, &all.converts, &all.pull_requests}) {
    for (const Ref& ref : *list)
      collect_pointers(*git_, *git_commit_tree_id(git_->commit(oid_of(ref.commit)).get()), seen, pointers);
  }
  parts_.database->transaction([&] {
    for (const std::string& oid : pointers) {
      parts_.database->run(
          "INSERT OR IGNORE INTO repo_objects SELECT ?, oid FROM object_owners WHERE user = ? AND oid = ?",
          {info_.key, user, oid});
    }
    parts_.database->run("UPDATE repos SET modified_at = ? WHERE key = ?", {now_ms(), info_.key});
  });
}

}  // namespace depickle::server
