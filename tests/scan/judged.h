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

/// A harmless pickle with its storages, a call, and the verdict on a file with this call.
inline const torch::made::Items kData{{"0", torch::made::floats({1, 2, 3, 4})}};
inline const std::string kGood = torch::made::dict({{"w", torch::made::vector("0", 4)}});
inline const std::string kSystem = torch::made::call("os", "system", {torch::made::text("id")});
inline const std::string kFound = "has-code: os.system(\"id\")";

}  // namespace depickle::scan
