// What a visitor wrote, as a wish.
#pragma once

#include <string>
#include <string_view>

#include "server/page/job.h"

namespace depickle::server::page {

/// Reads `address` (an id, an id@rev, hf://…, a pasted address) as one at the Hub `hub`. A page of the public Hub counts as the same page
/// here, and so does one of `own_host`, the Host by which the visitor calls us, where the Hub is our own (else it is empty).
/// `number`: of the pull request, 0 where only the address may name it. Throws Error{malformed}, {unsupported} for what lies on another
/// Hub or is not a model.
JobRequest read_wish(Kind kind, const std::string& address, uint64_t number, bool pull_request, const std::string& hub,
    const std::string& own_host);

}  // namespace depickle::server::page
