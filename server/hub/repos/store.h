// Everything that the embedded Hub stores, in one data folder.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

#include "server/hub/content/lfs.h"
#include "server/hub/content/limits.h"
#include "server/hub/content/spool.h"
#include "server/hub/content/upload_limits.h"
#include "server/hub/content/xet.h"
#include "server/hub/git/store_error.h"
#include "server/hub/repos/access_requests.h"
#include "server/hub/repos/commit.h"
#include "server/hub/repos/discussions.h"
#include "server/hub/repos/repo.h"
#include "server/hub/repos/repos.h"
#include "server/hub/repos/users.h"

namespace depickle::server::repos {

/// Safe to use from several threads. Repo, Committer and Discussions are handles; each thread makes its own:
///
///   auto store = Store::open(folder);
///   RepoInfo info = store->repos().at(RepoId::parse(RepoType::model, "me/demo"));
///   if (!store->repos().rights(info, caller).read) …
///   Repo repo = store->repo(info);
///   std::string commit = repo.commit_at("main");
///   Committer(repo).commit("main", {.title = "…", .operations = …}, *caller);
class Store {
 public:
  /// Creates the folder if it does not exist, and completes or removes what a killed server did not finish. Throws
  /// Error{io} if another server uses the folder; {unsupported} if a newer depickle wrote it.
  static std::unique_ptr<Store> open(const std::filesystem::path& data_folder, const StoreLimits& limits = {});
  ~Store();

  const StoreLimits& limits() const noexcept;
  const std::filesystem::path& folder() const noexcept;
  /// Returns the folder of temporary files, which open() empties.
  std::filesystem::path temporary_folder() const;
  /// A random id. It is part of the address of the xet receiver: clients cache by this address what a store contains.
  const std::string& id() const noexcept;

  /// Starts a thread that removes what nothing needs any more (garbage.h): now, each hour, and after a repository was
  /// deleted. It passes errors to `log`. Call it once.
  void start_maintenance(std::function<void(std::string_view)> log);

  Users& users() noexcept;
  AccessRequests& access_requests() noexcept;
  Repos& repos() noexcept;
  content::Lfs& lfs() noexcept;
  content::Xet& xet() noexcept;
  content::UploadLimits& upload_limits() noexcept;
  Repo repo(const RepoInfo& info);
  /// Returns an empty Spool for the content of one file of a commit.
  content::Spool spool() const;

 private:
  explicit Store(std::unique_ptr<StoreParts> parts);
  std::unique_ptr<StoreParts> parts_;
};

}  // namespace depickle::server::repos
