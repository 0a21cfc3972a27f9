// Percent-encoding, queries and forms.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace depickle::server::http {

/// Decodes `%2F` to '/'. Returns nullopt if two hexadecimal digits do not follow a percent sign, or for %00.
std::optional<std::string> percent_decoded(std::string_view text);
/// Encodes every byte except letters, digits and -._~ as %XX; '/' is not encoded if `keep_slashes`.
std::string percent_encoded(std::string_view text, bool keep_slashes);

/// Returns whether all pairs of `a=1&b=2` can be decoded.
bool is_form(std::string_view text);
/// Returns the pairs of `a=1&b=2` in order, decoded; '+' is a space. Skips pairs that cannot be decoded.
std::vector<std::pair<std::string, std::string>> form_pairs(std::string_view text);
/// Returns the first value of `name` in a form.
std::optional<std::string> form_value(std::string_view text, std::string_view name);

}  // namespace depickle::server::http
