#include "server/jobs/hub_settings.h"

namespace depickle::server::jobs {

hub::Settings hub_settings(
    std::string endpoint, std::string token, std::filesystem::path cache, const std::string& version) {
  hub::Settings hub;
  hub.endpoint = std::move(endpoint);
  hub.token = std::move(token);
  hub.cache = std::move(cache);
  hub.user_agent = "depickle/" + version + "; page";
  hub.retry_policy.max_total_wait = std::chrono::milliseconds(60'000);
  return hub;
}

}  // namespace depickle::server::jobs
