// Web addresses: where they lead, and who answers there.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace depickle::hub {

/// "https://host:443": scheme, host and port in lower case, the port always spelled out. Empty for what is no http or https
/// address, or carries a user name.
std::optional<std::string> origin_of(const std::string& url);

/// Where `location`, relative or absolute, leads from `base`. Empty where that is no http or https address.
std::optional<std::string> join_url(const std::string& base, const std::string& location);

/// The address up to its query, which may be signed: what may be shown.
std::string without_query(std::string_view url);

/// "%2F" → "/". Bytes after a `%` that are not hexadecimal stay as they are.
std::string unescape(std::string_view text);

}  // namespace depickle::hub
