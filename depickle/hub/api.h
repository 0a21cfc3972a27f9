// What the calls of the Hub's API share.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/hub/client.h"
#include "depickle/hub/http.h"

namespace depickle::hub {

/// "ENDPOINT/api/models/org/name" and what stands below it, percent-encoded already.
std::string api_url(const Client& client, const RepoId& repo, std::string_view below);

/// The address in `Link: <…>; rel="next"`.
std::optional<std::string> next_page(const Response& answer);

/// The items of a list's pages, at most `most_items`.
std::vector<JsonValue> read_pages(Http& http, Request request, size_t most_items);

}  // namespace depickle::hub
