#include "server/page/work.h"

#include "depickle/hub/failure.h"

namespace depickle::server::page {

hub::Settings hub_settings(const Settings& settings, const std::string& token) {
  hub::Settings hub;
  hub.endpoint = settings.hub;
  hub.token = token;
  hub.cache = settings.data / "app" / "cache";
  hub.user_agent = "depickle/" + settings.version + "; page";
  hub.retry_policy.max_total_wait = std::chrono::milliseconds(60'000);
  return hub;
}

hub::Client Work::client(const std::string& as_token) const {
  hub::Settings hub = hub_settings(settings, as_token);
  hub.check_cancelled = check;
  return hub::Client(std::move(hub));
}

std::string Work::url(std::string_view below) const {
  std::string path = repo().page_path() + (below.empty() ? "" : "/") + std::string(below);
  return settings.is_embedded ? path : settings.hub + path;
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
    if (work.token.empty() && failure.is_missing_repo())
      throw failure.with_hint("check the spelling; for a private repository, enter a token that may read it");
    if (work.token.empty() && failure.code() == Code::denied)
      throw failure.with_hint("enter a token that has access; it is used for this job only");
    throw;
  }
}

}  // namespace depickle::server::page
