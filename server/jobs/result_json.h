// The JSON of job results (web/openapi.json).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/json.h"
#include "depickle/convert/report_json.h"
#include "depickle/repo/check.h"
#include "depickle/repo/convert.h"
#include "server/jobs/outcome.h"

namespace depickle::server::jobs {

/// Writes bytes and tensors by dtype and by module: the 8 largest, and the rest as "other".
void write_shares(JsonWriter& json, const std::vector<TensorRow>& tensors);

/// Writes what loading the files would execute; at most 1000 findings and 1000 globals.
void write_scan(JsonWriter& json, const std::vector<scan::ScannedFile>& scans);

/// Facts that a report does not contain: the sizes of the repository's files and the URLs of pull requests.
struct PlanContext {
  std::map<std::string, uint64_t, std::less<>> sizes;
  std::function<std::string(uint64_t number)> url_of;
};

/// Writes the members from `outcome` to `notes`, which plans and conversions share.
void write_report(JsonWriter& json, const repo::RepoReport& report, const std::vector<TensorRow>& tensors,
    const PlanContext& context);

/// Returns the tensors that the conversion writes, the tied names and the skipped tensors. `verdict` is for the written
/// ones.
std::vector<TensorRow> rows_of(const repo::RepoReport& report, std::string_view verdict);

/// Appends the tensors of one model.
void append_rows(std::vector<TensorRow>& rows, const std::vector<convert::DigestedTensor>& tensors,
    const std::string& file, std::string_view verdict);

}  // namespace depickle::server::jobs
