// A conversion's report, as JSON and as text.
#pragma once

#include "cli/console.h"
#include "depickle/base/json.h"
#include "depickle/convert/convert.h"

namespace depickle::cli {

/// The members `files` to `notes` of an open object (docs/json.md).
void write_report(JsonWriter& json, const convert::Report& report);

/// The same as lines for people, errors of failed files on stderr.
void print_report(const Console& console, const convert::Report& report, bool dry_run);

}  // namespace depickle::cli
