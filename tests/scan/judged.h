// Verdicts on test files, as text.
#pragma once

#include <string>
#include <utility>

#include "depickle/scan/scan.h"
#include "tests/formats/torch/tables.h"

namespace depickle::scan {

/// Returns the verdict on a file and its findings: "has-code: os.system("id")".
inline std::string judged(std::string file) {
  Scan result = scan_pickles(torch::source_of(std::move(file)));
  std::string out(name(result.verdict));
  for (const Finding& finding : result.findings)
    out += (&finding == result.findings.data() ? ": " : "; ") + finding.what;
  return out;
}

}  // namespace depickle::scan
