#include "server/jobs/request.h"

#include <array>

namespace depickle::server::jobs {
namespace {

constexpr std::array<std::string_view, kJobKinds> kKinds = {"plan", "convert", "check", "inspect"};

}  // namespace

std::string_view name(JobKind kind) noexcept { return kKinds[static_cast<size_t>(kind)]; }

std::optional<JobKind> find_kind(std::string_view name) noexcept {
  for (size_t i = 0; i < kKinds.size(); ++i)
    if (kKinds[i] == name) return static_cast<JobKind>(i);
  return std::nullopt;
}

std::vector<std::string_view> phases(const JobRequest& request) {
  switch (request.kind) {
    case JobKind::plan:
    case JobKind::inspect: return {"resolve", "read"};
    case JobKind::check: return {"resolve", "read", "compare"};
    case JobKind::convert: break;
  }
  if (!request.pull_request) return {"resolve", "download", "read", "convert", "compare"};
  return {"resolve", "download", "read", "convert", "compare", "upload", "pull request"};
}

}  // namespace depickle::server::jobs
