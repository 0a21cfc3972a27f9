// The output of scan, as text and as JSON.
#pragma once

#include <vector>

#include "cli/console.h"
#include "depickle/scan/scan.h"

namespace depickle::cli {

/// One block per file. Inert and unknown findings of one package are one line.
void print_scan_text(const Console& console, const std::vector<scan::ScannedFile>& files);
/// One object of the schema depickle.scan/1.
void print_scan_json(const Console& console, const std::vector<scan::ScannedFile>& files);

}  // namespace depickle::cli
