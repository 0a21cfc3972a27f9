// The settings of the page's server.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

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

/// The program that runs a job in a process of its own (server/jobs).
struct JobProgram {
  std::filesystem::path path;
  std::vector<std::string> environment;       ///< "NAME=value"; the whole environment of the process
  uint64_t memory_bytes = uint64_t{4} << 30;  ///< of the process; 0: no limit
  std::filesystem::path sandbox;              ///< the program that parses files in its place, for tests; else empty
  uint64_t sandbox_memory_bytes = uint64_t{2} << 30;  ///< of each process that parses files
};

struct Settings {
  std::filesystem::path data;  ///< the server's data folder; the page uses app.sqlite and app/ in it
  std::string version;
  std::string hub;    ///< URL of the Hub; empty for the embedded one, whose URL start() sets
  std::string token;  ///< of the server's account; may be empty
  bool is_embedded = false;
  bool is_personal = false;  ///< the server of one person: jobs read and merge with the account's rights
  PageLimits limits;
  JobProgram job_program;
  std::function<void(std::string_view)> log = {};          ///< takes one line; called from any thread, must not throw
  std::function<std::vector<std::string>()> samples = {};  ///< repositories for the front page
};

}  // namespace depickle::server::page
