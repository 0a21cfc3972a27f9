// URLs: origins, redirects, percent-encoding.
//
// libcurl parses the URLs because it also sends the requests: with a second parser (Boost.URL) the check of an origin
// and the request could disagree about the host.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace depickle::hub {

/// Returns "https://host:443": scheme and host in lower case, always with the port. Returns nothing if `url` is not an
/// http or https URL or contains a user name.
std::optional<std::string> origin_of(const std::string& url);

/// Resolves `location`, relative or absolute, against `base`. Returns nothing if the result is not an http or https
/// URL.
std::optional<std::string> join_url(const std::string& base, const std::string& location);

/// Returns the URL without query and fragment. Queries may be signed and must not be shown.
std::string without_query(std::string_view url);

/// Decodes "%2F" to "/". A `%` without two hexadecimal digits stays as it is.
std::string unescape(std::string_view text);

}  // namespace depickle::hub
