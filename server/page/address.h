// Parses the address that a visitor typed.
#pragma once

#include <string>
#include <string_view>

#include "server/page/job.h"

namespace depickle::server::page {

/// Parses `address` (an id, an id@rev, hf://… or a URL) as one at the Hub `hub`. URLs of the public Hub and of
/// `own_host` count as URLs of `hub`; `own_host` is the Host header of the request, or empty if the Hub is not
/// embedded. `number` is the pull request, 0 if only the address may name it. Throws Error{malformed};
/// Error{unsupported} if the address is on another Hub or is not a model.
JobRequest parse_job_request(JobKind kind, const std::string& address, uint64_t number, bool pull_request,
    const std::string& hub, const std::string& own_host);

}  // namespace depickle::server::page
