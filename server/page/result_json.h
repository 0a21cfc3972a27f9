// The parts that results of jobs are made of, as the API spells them (web/openapi.json).
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
#include "server/page/tensors.h"

namespace depickle::server::page {

/// Bytes and tensors by dtype and by module: the largest, and the rest as "other".
void write_shares(JsonWriter& json, const std::vector<TensorRow>& tensors);

/// What loading would do, all files together; at most 1000 findings and 1000 globals.
void write_scan(JsonWriter& json, const std::vector<repo::ScannedFile>& scans);

/// What a report does not say itself: the sizes of the repository's files, and the address of a pull request.
struct PlanContext {
  std::map<std::string, uint64_t, std::less<>> sizes;
  std::function<std::string(uint64_t number)> url_of;
};

/// The members from `outcome` to `notes` that plans and conversions share.
void write_report(
    JsonWriter& json, const repo::RepoReport& report, const std::vector<TensorRow>& tensors, const PlanContext& around);

/// The tensors that the conversion writes, tied names and what was skipped; `verdict` of those that are written.
std::vector<TensorRow> rows_of(const repo::RepoReport& report, std::string_view verdict);

/// The tensors of one model, as a look at it found them.
void append_rows(std::vector<TensorRow>& rows, const std::vector<convert::DigestedTensor>& tensors,
    const std::string& file, std::string_view verdict);

}  // namespace depickle::server::page
