// Fills a store from folders.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "server/hub/repos/store.h"

namespace depickle::server::repos {

struct Imported {
  RepoId id;
  bool existed = false;  ///< the repository was not changed
  uint64_t files = 0;
  uint64_t bytes = 0;
  uint64_t pull_requests = 0;
};

/// Makes a public model repository of each folder/ORG/NAME, with one commit. Large files and those that match the LFS
/// patterns become LFS objects. Hidden folders (.git, .cache) are skipped; links to files are followed.
///
/// Each folder/ORG/NAME@ANYTHING becomes a pull request, in the order of names: its files over main. Its
/// PULL_REQUEST.md is not committed; the first line is the title, the text after an empty line the description.
///
/// A repository that already exists is not changed. An import that a kill interrupted starts again. Calls `report`
/// for each repository. Throws Error{not_found, io}; StoreError{malformed} for invalid names.
void import_folder(
    Store& store, const std::filesystem::path& folder, const std::function<void(const Imported&)>& report);

}  // namespace depickle::server::repos
