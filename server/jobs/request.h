// The request of a job.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace depickle::server::jobs {

enum class JobKind : uint8_t { plan, convert, check, inspect };
inline constexpr unsigned kJobKinds = 4;
std::string_view name(JobKind kind) noexcept;
std::optional<JobKind> find_kind(std::string_view name) noexcept;

/// A parsed and validated request for a job.
struct JobRequest {
  JobKind kind = JobKind::plan;
  std::string address;  ///< as typed
  std::string repo;     ///< "org/name"
  std::string revision;
  std::string path;                 ///< of a file; inspections only
  uint64_t number = 0;              ///< of the pull request; 0 if none
  bool pull_request = true;         ///< open one
  bool is_from_public_hub = false;  ///< the address is a URL of the public Hub, but the job uses this server's Hub

  friend bool operator==(const JobRequest&, const JobRequest&) = default;
};

/// Returns the phases of a job in order.
std::vector<std::string_view> phases(const JobRequest& request);

}  // namespace depickle::server::jobs
