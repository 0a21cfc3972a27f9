// The text of request targets: percent-encoding, queries and forms.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace depickle::server::http {

/// `%2F` → '/'. Empty where a percent sign is not followed by two hexadecimal digits, or stands for a NUL.
std::optional<std::string> percent_decoded(std::string_view text);
/// Everything but letters, digits and -._~ as %XX; a slash stays where `keep_slashes`.
std::string percent_encoded(std::string_view text, bool keep_slashes);

/// Whether all pairs of `a=1&b=2` can be decoded.
bool is_form(std::string_view text);
/// The pairs of `a=1&b=2` in order, decoded; '+' is a space. Pairs that cannot be decoded are left out.
std::vector<std::pair<std::string, std::string>> form_pairs(std::string_view text);
/// The first value of `name` in such a text.
std::optional<std::string> form_value(std::string_view text, std::string_view name);

}  // namespace depickle::server::http
