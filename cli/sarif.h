// Scan results as SARIF 2.1.0 (OASIS), which code scanning services read.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "depickle/scan/scan.h"

namespace depickle::cli {

/// One run; a result for each finding and for each file that cannot be read.
std::string sarif(const std::vector<scan::ScannedFile>& files, std::string_view version);

}  // namespace depickle::cli
