#include "server/jobs/work.h"

#include "depickle/hub/failure.h"
#include "server/jobs/hub_settings.h"

namespace depickle::server::jobs {

hub::Client Work::client(const std::string& token) const {
  hub::Settings hub = hub_settings(task.hub, token, cache, task.version);
  hub.check_cancelled = check;
  return hub::Client(std::move(hub));
}

std::string Work::url(std::string_view below) const {
  std::string path = repo().page_path() + (below.empty() ? "" : "/") + std::string(below);
  return task.is_embedded ? path : task.hub + path;
}

JobResult do_work(const Work& work) {
  try {
    work.enter("resolve");
    JobResult result;
    switch (work.request.kind) {
      case JobKind::plan: result = plan(work); break;
      case JobKind::convert: result = convert(work); break;
      case JobKind::check: result = check(work); break;
      case JobKind::inspect: result = inspect(work); break;
    }
    if (work.request.is_from_public_hub)
      result.outcome.sentence += " (The address of the public Hub was read at this server's Hub.)";
    return result;
  } catch (const hub::Failure& failure) {
    // The Hub gives the same response for a private and a missing repository.
    if (work.task.token.empty() && failure.is_missing_repo())
      throw failure.with_hint("check the spelling; for a private repository, enter a token that may read it");
    if (work.task.token.empty() && failure.code() == Code::denied)
      throw failure.with_hint("enter a token that has access; it is used for this job only");
    throw;
  }
}

}  // namespace depickle::server::jobs
