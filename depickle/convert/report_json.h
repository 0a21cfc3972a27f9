// Writes reports as JSON (docs/json.md). Used by the program's output and by the page's API.
#pragma once

#include <string>
#include <vector>

#include "depickle/base/json.h"
#include "depickle/convert/convert.h"

namespace depickle::convert {

/// Writes the members `source` to `notes` of the open object.
void write_members(JsonWriter& json, const FileReport& file);

// Each writes an array.
void write_indexes(JsonWriter& json, const std::vector<IndexReport>& indexes);
/// `hint` returns the hint of the front end, which may add its own options to the library's.
void write_failures(JsonWriter& json, const std::vector<FailedFile>& failures, std::string (*hint)(const Error&));
void write_unused(JsonWriter& json, const std::vector<Unused>& unused);
void write_unsupported(JsonWriter& json, const std::vector<Unsupported>& tensors);
void write_texts(JsonWriter& json, const std::vector<std::string>& texts);

}  // namespace depickle::convert
