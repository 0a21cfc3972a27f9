// Seeding a store from folders.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "server/hub/store/store.h"

namespace depickle::server {

struct Imported {
  RepoId id;
  bool existed = false;  ///< left alone
  uint64_t files = 0;
  uint64_t bytes = 0;
  uint64_t pull_requests = 0;
};

/// Makes a public model repository of each folder/ORG/NAME: one commit, large files and those of the LFS patterns as LFS objects, hashed
/// while they are copied. Each folder/ORG/NAME@ANYTHING beside it becomes a pull request, in the order of names: its files over
/// main; title and, after an empty line, description are those of its PULL_REQUEST.md, which is not committed. Hidden folders (.git, .cache) are left out, links to files are followed. A repository that already exists
/// is left alone; what a kill interrupted is done again. `tell` hears of each one. Throws Error{not_found, io}, StoreError{malformed} for names.
void import_folder(Store& store, const std::filesystem::path& folder, const std::function<void(const Imported&)>& tell);

}  // namespace depickle::server
