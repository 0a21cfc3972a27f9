// Bytes that are spelled as text.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "depickle/base/source.h"

namespace depickle::torch {

/// Returns the bytes that a pickle of protocol 2 spells as `_codecs.encode(text, "latin1")`: each character is a byte.
/// `text` is UTF-8 and must live as long as `owner`. Throws Error{malformed} (PK05) if a character is above U+00FF.
std::shared_ptr<const ByteSource> latin1_bytes(
    std::string name, std::string_view text, std::shared_ptr<const void> owner);

}  // namespace depickle::torch
