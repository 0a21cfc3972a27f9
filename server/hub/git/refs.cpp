#include "server/hub/git/refs.h"

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "server/hub/git/names.h"
#include "server/hub/git/repository.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::git {
namespace {

constexpr size_t kMaxRevisionBytes = 300;

StoreError already_exists(std::string_view what, std::string_view name) {
  return StoreError(StoreReason::exists, fmt::format("{} {} already exists", what, quoted(name)));
}

// Throws StoreError{exists} if another ref is a folder of the new one, or the new one would be a folder of others: git
// stores refs as files.
void check_no_collision(const Repository& git, std::string_view folder, std::string_view name) {
  auto collides = [&](std::string_view other) {
    return StoreError(StoreReason::exists, fmt::format("{} conflicts with {}", quoted(name), quoted(other)),
        "git does not allow a name below another name");
  };
  for (size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
    std::string above(name.substr(0, slash));
    if (git.find_ref(fmt::format("{}{}", folder, above))) throw collides(above);
  }
  git_reference_iterator* created = nullptr;
  check_git(git_reference_iterator_new(&created, git.get()), "list refs");
  Owned<git_reference_iterator, git_reference_iterator_free> iterator(created);
  const std::string beneath = fmt::format("{}{}/", folder, name);
  for (const char* other = nullptr; git_reference_next_name(&other, created) == 0;)
    if (std::string_view(other).starts_with(beneath)) throw collides(std::string_view(other).substr(folder.size()));
}

void remove_ref(const Repository& git, const std::string& full_name, std::string_view name) {
  if (!git.find_ref(full_name)) throw_no_revision(name);
  git.remove_ref(full_name);
}

bool is_commit_prefix(std::string_view text) {
  return text.size() >= 5 && text.size() <= 40 && text.find_first_not_of("0123456789abcdefABCDEF") == text.npos;
}

git_oid write_tag_object(const Repository& git, const std::string& name, git_oid target_oid, const std::string& message,
    const std::string& author) {
  git_signature* created = nullptr;
  std::string mail = author + "@users.noreply.invalid";
  check_git(git_signature_now(&created, author.c_str(), mail.c_str()), "create a signature");
  Owned<git_signature, git_signature_free> signature(created);
  git_object* object = nullptr;
  check_git(git_object_lookup(&object, git.get(), &target_oid, GIT_OBJECT_COMMIT), "read a commit");
  Owned<git_object, git_object_free> target(object);
  git_oid oid;
  check_git(git_tag_annotation_create(&oid, git.get(), name.c_str(), object, created, message.c_str()), "write a tag");
  git.sync_object_folders();
  return oid;
}

}  // namespace

Refs list_refs(const Repository& git) {
  Refs refs;
  std::pair<std::string, std::vector<Ref>*> groups[] = {{"refs/heads/", &refs.branches}, {"refs/tags/", &refs.tags},
      {"refs/convert/", &refs.converts}, {"refs/pr/", &refs.pull_requests}};
  git_reference_iterator* created = nullptr;
  check_git(git_reference_iterator_new(&created, git.get()), "list refs");
  Owned<git_reference_iterator, git_reference_iterator_free> iterator(created);
  for (const char* name = nullptr; git_reference_next_name(&name, created) == 0;) {
    std::string full(name);
    for (auto& [prefix, list] : groups) {
      if (!full.starts_with(prefix)) continue;
      // The short names of pull requests and conversions include the folder: "pr/1", "convert/x".
      std::string short_name = full.substr(list == &refs.pull_requests || list == &refs.converts ? 5 : prefix.size());
      if (std::optional<git_oid> oid = git.find_ref(full)) list->push_back({short_name, full, hex(*oid)});
    }
  }
  return refs;
}

void throw_no_revision(std::string_view revision) {
  throw StoreError(StoreReason::no_revision, fmt::format("Invalid rev id: {}", printable(revision)));
}

std::optional<std::string> find_commit(const Repository& git, std::string_view revision) {
  if (revision.empty() || revision.size() > kMaxRevisionBytes || revision.find('\0') != revision.npos)
    return std::nullopt;
  std::string name(revision);
  if (name == "HEAD") name = "main";
  if (name.starts_with("refs/")) {
    std::optional<git_oid> oid = git.find_ref(name);
    return oid ? std::optional(hex(*oid)) : std::nullopt;
  }
  for (const char* folder : {"refs/heads/", "refs/tags/"}) {
    if (std::optional<git_oid> oid = git.find_ref(folder + name)) return hex(*oid);
  }
  if (!is_commit_prefix(name)) return std::nullopt;
  git_oid prefix{};
  git_object* found = nullptr;
  if (git_oid_fromstrn(&prefix, name.data(), name.size()) != 0) return std::nullopt;
  if (git_object_lookup_prefix(&found, git.get(), &prefix, name.size(), GIT_OBJECT_COMMIT) != 0) return std::nullopt;
  Owned<git_object, git_object_free> object(found);
  return hex(*git_object_id(found));
}

std::string commit_at(const Repository& git, std::string_view revision) {
  std::optional<std::string> commit = find_commit(git, revision);
  if (!commit) throw_no_revision(revision);
  return *commit;
}

void create_branch(const Repository& git, std::string_view name, std::string_view from) {
  check_ref_name(name);
  check_no_collision(git, "refs/heads/", name);
  git_oid oid = oid_of(commit_at(git, from));
  if (!git.set_ref("refs/heads/" + std::string(name), oid, nullptr)) throw already_exists("Branch", name);
}

void delete_branch(const Repository& git, std::string_view name) {
  if (name == "main") throw StoreError(StoreReason::denied, "the branch main cannot be deleted");
  check_ref_name(name);
  remove_ref(git, "refs/heads/" + std::string(name), name);
}

void create_tag(const Repository& git, std::string_view name, std::string_view revision, std::string_view message,
    std::string_view author) {
  check_ref_name(name);
  check_no_collision(git, "refs/tags/", name);
  git_oid oid = oid_of(commit_at(git, revision));
  if (!message.empty()) oid = write_tag_object(git, std::string(name), oid, std::string(message), std::string(author));
  if (!git.set_ref("refs/tags/" + std::string(name), oid, nullptr)) throw already_exists("Tag", name);
}

void delete_tag(const Repository& git, std::string_view name) {
  check_ref_name(name);
  remove_ref(git, "refs/tags/" + std::string(name), name);
}

}  // namespace depickle::server::git
