// The pages of the embedded Hub, at the URLs that the Hub's clients print: /ORG/NAME, …/tree/main, …/discussions/3.
#pragma once

#include "server/http/router.h"

namespace depickle::server::web {

/// Answers requests of browsers (GET or HEAD, Accept contains text/html) that no other route matches with
/// hub/index.html: status 200 if the path is that of a page, else 404. Other requests go to the fallback that the
/// router had before, so git and the clients of the API get the same answers as without the pages. Call it once, after
/// HubApi has set its fallback.
void add_hub_page_routes(http::Router& router);

}  // namespace depickle::server::web
