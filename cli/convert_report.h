// The report of a conversion, as JSON and as text.
#pragma once

#include "cli/console.h"
#include "depickle/base/json.h"
#include "depickle/convert/convert.h"

namespace depickle::cli {

/// Writes the members `files` to `notes` of an open object (docs/json.md).
void write_report(JsonWriter& json, const convert::Report& report);

/// Prints the report as text, and the errors of failed files to stderr.
void print_report(const Console& console, const convert::Report& report, bool dry_run);

}  // namespace depickle::cli
