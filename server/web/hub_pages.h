// The embedded Hub's own pages, behind the links that clients print: /ORG/NAME, …/tree/main, …/discussions/3.
#pragma once

#include "server/http/router.h"

namespace depickle::server::web {

/// Gives a browser (a GET whose Accept names text/html) the document hub/index.html for what no route answers: with 200 where the path is
/// that of a page, else with 404, and the document says so itself. Everybody else hears what the router said before: it only wraps
/// Router::otherwise, so that no address of git, of clients or of the API is shadowed. To be called once, after HubApi has set its own.
void add_hub_page_routes(http::Router& router);

}  // namespace depickle::server::web
