// Reports as JSON, in the forms of docs/json.md: what the program prints and the page's API answers is spelled here once.
#pragma once

#include <string>
#include <vector>

#include "depickle/base/json.h"
#include "depickle/convert/convert.h"

namespace depickle::convert {

/// The members `source` to `notes` of an open object.
void write_members(JsonWriter& json, const FileReport& file);

// Each an array.
void write_indexes(JsonWriter& json, const std::vector<IndexReport>& indexes);
void write_failures(JsonWriter& json, const std::vector<Failure>& failures);
void write_leftovers(JsonWriter& json, const std::vector<Unused>& unused);
void write_unsupported(JsonWriter& json, const std::vector<Unsupported>& tensors);
void write_texts(JsonWriter& json, const std::vector<std::string>& texts);

}  // namespace depickle::convert
