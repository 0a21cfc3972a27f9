// What a job does: asks the Hub, has files looked into by a worker process, and answers.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/hub/client.h"
#include "depickle/repo/engine.h"
#include "server/page/job.h"
#include "server/page/settings.h"
#include "server/page/tensors.h"

namespace depickle::server::page {

/// Whom the server itself is at the Hub; empty where it has no account.
struct Account {
  std::string name;  ///< empty until the Hub has said it
  std::string token;
};

/// One job's surroundings, on the thread that works on it.
struct Work {
  const Settings& settings;
  const Account& account;
  const JobRequest& wish;
  const std::string& token;      ///< the visitor's; may be empty
  std::filesystem::path folder;  ///< of the job, for what is to be downloaded; made where it is needed
  repo::Engine& engine;
  std::function<void()> check;                  ///< throws where the job is to stop
  std::function<void(std::string_view)> enter;  ///< a phase begins
  std::function<void(uint64_t bytes)> expect;   ///< so many bytes will be read and written
  Progress progress;

  hub::RepoId repo() const { return hub::RepoId::parse(wish.repo); }
  /// The Hub as the bearer of `as_token` sees it.
  hub::Client client(const std::string& as_token) const;
  /// As this job may read: with the visitor's token; without one as anybody, or on a personal server as the account.
  hub::Client reader() const { return client(!token.empty() || !settings.is_personal ? token : account.token); }
  /// Where people find it; a path alone on the embedded Hub, which goes by several names.
  std::string url(std::string_view below) const;
};

struct JobResult {
  Response answer;
  std::vector<TensorRow> tensors;
  uint64_t downloaded_bytes = 0;
  uint64_t converted_bytes = 0;  ///< of the safetensors files that were written
};

/// Does the job. Throws Error.
JobResult do_work(const Work& work);

/// The hub's settings that everything here starts from: our cache, our patience.
hub::Settings hub_settings(const Settings& settings, const std::string& token);

// The four, each in its file.
JobResult plan(const Work& work);
JobResult convert(const Work& work);
JobResult check(const Work& work);
JobResult inspect(const Work& work);

}  // namespace depickle::server::page
