// What the page's server is told when it starts.
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

struct Limits {
  unsigned conversions = 1;                    ///< at once; plans, checks and inspections have threads of their own
  uint64_t model_bytes = uint64_t{200} << 30;  ///< of the files to convert; a larger model is refused
  std::chrono::seconds job{4 * 3600};          ///< then a job is stopped
  uint64_t disk_bytes = uint64_t{500} << 30;   ///< of downloads and results; the oldest go first
  uint32_t queued = 500;                       ///< jobs of everybody that wait
  uint32_t queued_of_visitor = 100;            ///< of one visitor
  uint32_t kept = 20'000;                      ///< jobs that have ended, with their results
  std::chrono::hours keep{24 * 30};            ///< how long
};

struct Settings {
  std::filesystem::path data;  ///< of the server; ours is app.sqlite and app/ in it
  std::string version;
  std::string hub;    ///< the address of the Hub; empty: the embedded one, whose address start() is told
  std::string token;  ///< of the server's own account; empty: it has none
  bool is_embedded = false;
  bool is_personal = false;        ///< one person's own server: it reads and merges with the account's rights
  std::vector<std::string> names;  ///< that it may be called by, besides its address
  Limits limits;
  sandbox::SandboxOptions sandbox;                 ///< how a worker process is started; its bounds are its maker's
  std::function<void(std::string_view)> log = {};  ///< one line, without a line feed; from any thread
  std::function<std::vector<std::string>()> samples = {};  ///< repositories for the front page
};

}  // namespace depickle::server::page
