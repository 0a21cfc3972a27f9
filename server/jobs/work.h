// Runs a job: queries the Hub and reads the files in a sandboxed process.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "depickle/hub/client.h"
#include "depickle/repo/engine.h"
#include "server/jobs/messages.h"
#include "server/jobs/outcome.h"

namespace depickle::server::jobs {

/// The context of a job.
struct Work {
  const Task& task;
  const JobRequest& request;
  const std::filesystem::path& folder;  ///< of the job's files; exists
  const std::filesystem::path& cache;   ///< of the Hub
  repo::Engine& engine;
  std::function<void()> check;                  ///< throws if the job must stop
  std::function<void(std::string_view)> enter;  ///< begins a phase
  std::function<void(uint64_t bytes)> expect;   ///< sets the size of the files to read
  Progress progress;

  hub::RepoId repo() const { return hub::RepoId::parse(request.repo); }
  /// Returns a client that uses `token`.
  hub::Client client(const std::string& token) const;
  /// Returns the client for reading: with the visitor's token; without one, anonymous, or on a personal server as the
  /// account.
  hub::Client reader() const {
    return client(!task.token.empty() || !task.is_personal ? task.token : task.account_token);
  }
  /// Returns the URL of a page of the repository; for the embedded Hub, which may have several host names, a path.
  std::string url(std::string_view below) const;
};

/// Runs the job. Throws Error.
JobResult do_work(const Work& work);

JobResult plan(const Work& work);
JobResult convert(const Work& work);
JobResult check(const Work& work);
JobResult inspect(const Work& work);

}  // namespace depickle::server::jobs
