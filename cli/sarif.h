// Scan results as SARIF 2.1.0 (OASIS), which code scanning services read.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "depickle/scan/scan.h"

namespace depickle::cli {

struct ScannedFile {
  std::filesystem::path path;
  scan::Scan scan;
};

/// One run; a result for each finding and for each file that cannot be read.
std::string sarif(const std::vector<ScannedFile>& files, std::string_view version);

}  // namespace depickle::cli
