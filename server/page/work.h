// Runs a job: queries the Hub and reads the files in a sandboxed process.
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

/// The server's account at the Hub. Empty if it has none.
struct Account {
  std::string name;  ///< empty until the Hub has answered
  std::string token;
};

/// The context of a job on its thread.
struct Work {
  const Settings& settings;
  const Account& account;
  const JobRequest& request;
  const std::string& token;      ///< the visitor's; may be empty
  std::filesystem::path folder;  ///< of the job's files; created on demand
  repo::Engine& engine;
  std::function<void()> check;                  ///< throws if the job must stop
  std::function<void(std::string_view)> enter;  ///< begins a phase
  std::function<void(uint64_t bytes)> expect;   ///< sets the size of the files to read
  Progress progress;

  hub::RepoId repo() const { return hub::RepoId::parse(request.repo); }
  /// Returns a client that uses `as_token`.
  hub::Client client(const std::string& as_token) const;
  /// Returns the client for reading: with the visitor's token; without one, anonymous, or on a personal server as the
  /// account.
  hub::Client reader() const { return client(!token.empty() || !settings.is_personal ? token : account.token); }
  /// Returns the URL of a page of the repository; for the embedded Hub, which may have several host names, a path.
  std::string url(std::string_view below) const;
};

struct JobResult {
  JobOutcome outcome;
  std::vector<TensorRow> tensors;
  uint64_t downloaded_bytes = 0;
  uint64_t converted_bytes = 0;  ///< size of the safetensors files that were written
};

/// Runs the job. Throws Error.
JobResult do_work(const Work& work);

/// Returns the settings of all Hub clients of the page: cache, retries.
hub::Settings hub_settings(const Settings& settings, const std::string& token);

JobResult plan(const Work& work);
JobResult convert(const Work& work);
JobResult check(const Work& work);
JobResult inspect(const Work& work);

}  // namespace depickle::server::page
