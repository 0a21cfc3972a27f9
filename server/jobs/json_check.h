// Checks JSON without parsing it into memory.
#pragma once

#include <string_view>

namespace depickle::server::jobs {

/// Returns whether `text` is one JSON object as JsonWriter writes it in the compact style: in UTF-8, without white
/// space between its tokens, without surrogates, with numbers of 64 bits, and nested at most 32 deep. Then it can be a
/// member of another object and the data of an event. Needs no memory.
bool is_compact_json_object(std::string_view text) noexcept;

}  // namespace depickle::server::jobs
