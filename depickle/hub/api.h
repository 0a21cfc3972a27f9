// Shared by the callers of the Hub's API.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/hub/client.h"
#include "depickle/hub/http.h"

namespace depickle::hub {

/// Returns "ENDPOINT/api/models/org/name" and `below`, which is percent-encoded.
std::string api_url(const Client& client, const RepoId& repo, std::string_view below);

/// Returns the URL in `Link: <…>; rel="next"`.
std::optional<std::string> next_page(const Response& response);

/// Returns the items of all pages of a list, at most `max_items`.
std::vector<JsonValue> read_pages(Http& http, Request request, size_t max_items);

}  // namespace depickle::hub
