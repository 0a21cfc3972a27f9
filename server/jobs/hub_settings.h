// The settings of the server's Hub clients.
#pragma once

#include <filesystem>
#include <string>

#include "depickle/hub/settings.h"

namespace depickle::server::jobs {

/// Returns the settings of a client of the Hub at `endpoint`: cache, name of the program, retries.
hub::Settings hub_settings(
    std::string endpoint, std::string token, std::filesystem::path cache, const std::string& version);

}  // namespace depickle::server::jobs
