// Branches, tags and the other refs of a repository.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace depickle::server::git {

class Repository;

struct Ref {
  std::string name;       ///< "main", "v1", "pr/1"
  std::string full_name;  ///< "refs/heads/main"
  std::string commit;     ///< 40 hexadecimal digits; of an annotated tag: the commit that it points to
};

struct Refs {
  std::vector<Ref> branches, tags, converts, pull_requests;
};

Refs list_refs(const Repository& git);

/// `revision` is a branch, a tag, a full ref name, a commit or the first 5 or more digits of one. Returns the
/// commit's 40 digits.
std::optional<std::string> find_commit(const Repository& git, std::string_view revision);
/// The same. Throws StoreError{no_revision}: "Invalid rev id: `revision`".
std::string commit_at(const Repository& git, std::string_view revision);
[[noreturn]] void throw_no_revision(std::string_view revision);

/// `from` is a revision. Throws StoreError{exists, no_revision, malformed}.
void create_branch(const Repository& git, std::string_view name, std::string_view from);
/// Throws StoreError{no_revision}; {denied} for main.
void delete_branch(const Repository& git, std::string_view name);
/// Creates an annotated tag if `message` is not empty.
void create_tag(const Repository& git, std::string_view name, std::string_view revision, std::string_view message,
    std::string_view author);
void delete_tag(const Repository& git, std::string_view name);

}  // namespace depickle::server::git
