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
    JobResult worked;
    switch (work.wish.kind) {
      case Kind::plan: worked = plan(work); break;
      case Kind::convert: worked = convert(work); break;
      case Kind::check: worked = check(work); break;
      case Kind::inspect: worked = inspect(work); break;
    }
    if (work.wish.elsewhere) worked.answer.sentence += " (The address was read as one of this server's Hub.)";
    return worked;
  } catch (const hub::Failure& failure) {
    // The Hub says the same of what is private and of what is not there.
    if (work.token.empty() && failure.is_missing_repo())
      throw failure.with_hint("look for a typing error; if it is private, give a token of yours that may read it");
    if (work.token.empty() && failure.code() == Code::denied)
      throw failure.with_hint("give a token of yours that may do this; it is used for this job only");
    throw;
  }
}

}  // namespace depickle::server::page
