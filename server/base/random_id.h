// Random names, from the kernel's random number generator. Fit for secrets.
#pragma once

#include <string>
#include <string_view>

namespace depickle::server {

/// Returns random bytes. Throws Error{io}.
std::string random_bytes(size_t length);
/// Returns `length` characters of `alphabet` (at most 256), each with the same probability. Throws Error{io}.
std::string random_text(std::string_view alphabet, size_t length);
/// Returns lower-case hexadecimal digits.
std::string random_hex(size_t length);
/// Returns ASCII letters and digits.
std::string random_letters(size_t length);

}  // namespace depickle::server
