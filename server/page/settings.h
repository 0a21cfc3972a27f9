// The settings of the page's server.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/sandbox/sandbox.h"

namespace depickle::server::page {

struct PageLimits {
  unsigned conversions = 1;                    ///< concurrent; plans, checks and inspections have their own threads
  uint64_t model_bytes = uint64_t{200} << 30;  ///< of the files to convert
  std::chrono::seconds job{4 * 3600};          ///< a job that takes longer is stopped
  uint64_t disk_bytes = uint64_t{500} << 30;   ///< of downloads, results and app.sqlite
  uint32_t queued = 500;                       ///< waiting jobs
  uint32_t queued_of_visitor = 100;            ///< waiting jobs of one visitor
  uint32_t queued_of_address = 200;            ///< waiting jobs of one client address that is not loopback
  uint32_t kept = 20'000;                      ///< number of ended jobs
  std::chrono::hours keep{24 * 30};            ///< age of ended jobs
};

struct Settings {
  std::filesystem::path data;  ///< the server's data folder; the page uses app.sqlite and app/ in it
  std::string version;
  std::string hub;    ///< URL of the Hub; empty for the embedded one, whose URL start() sets
  std::string token;  ///< of the server's account; may be empty
  bool is_embedded = false;
  bool is_personal = false;  ///< the server of one person: jobs read and merge with the account's rights
  PageLimits limits;
  sandbox::SandboxOptions sandbox;                 ///< how a worker process is started
  std::function<void(std::string_view)> log = {};  ///< takes one line without a line feed; called from any thread
  std::function<std::vector<std::string>()> samples = {};  ///< repositories for the front page
};

}  // namespace depickle::server::page
