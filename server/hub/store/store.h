// Everything that the embedded Hub keeps: one data folder.
#pragma once

#include <filesystem>
#include <memory>

#include "server/hub/store/commit.h"
#include "server/hub/store/discussions.h"
#include "server/hub/store/lfs.h"
#include "server/hub/store/limits.h"
#include "server/hub/store/repo.h"
#include "server/hub/store/repos.h"
#include "server/hub/store/spool.h"
#include "server/hub/store/store_error.h"
#include "server/hub/store/users.h"
#include "server/hub/store/xet.h"

namespace depickle::server {

/// Safe to use from several threads; Repo, Committer and Discussions are handles that each thread makes its own of:
///
///   auto store = Store::open(folder);
///   RepoInfo info = store->repos().at(RepoId::parse(RepoType::model, "me/demo"));
///   if (!store->repos().rights(info, caller).read) …
///   Repo repo = store->repo(info);
///   std::string commit = repo.commit_at("main");
///   Committer(repo).commit("main", {.title = "…", .operations = …}, *caller);
class Store {
 public:
  /// Creates the folder where there is none, removes what a killed server left half-done. Throws Error{io} where another server
  /// holds it, {unsupported} where a newer depickle wrote it.
  static std::unique_ptr<Store> open(const std::filesystem::path& data_folder, const Limits& limits = {});
  ~Store();

  const Limits& limits() const noexcept;
  const std::filesystem::path& folder() const noexcept;

  Users& users() noexcept;
  Repos& repos() noexcept;
  Lfs& lfs() noexcept;
  Xet& xet() noexcept;
  Repo repo(const RepoInfo& info);
  /// For the content of one file of a commit.
  Spool spool() const;

 private:
  explicit Store(std::unique_ptr<StoreParts> parts);
  std::unique_ptr<StoreParts> parts_;
};

}  // namespace depickle::server
