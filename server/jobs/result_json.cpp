#include "server/jobs/result_json.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace depickle::server::jobs {
namespace {

constexpr size_t kMaxShares = 8;
constexpr size_t kMaxListed = 1000;

struct Share {
  uint64_t bytes = 0, tensors = 0;
};

void write_largest(JsonWriter& json, const std::map<std::string, Share>& shares) {
  std::vector<std::pair<std::string, Share>> sorted(shares.begin(), shares.end());
  std::ranges::stable_sort(sorted, std::greater{}, [](const auto& pair) { return pair.second.bytes; });
  if (sorted.size() > kMaxShares + 1) {
    Share other;
    for (size_t i = kMaxShares; i < sorted.size(); ++i) {
      other.bytes += sorted[i].second.bytes;
      other.tensors += sorted[i].second.tensors;
    }
    sorted.resize(kMaxShares);
    sorted.emplace_back("other", other);
  }
  json.array();
  for (const auto& [name, share] : sorted)
    json.object().key("name").value(name).key("bytes").value(share.bytes).key("tensors").value(share.tensors).end();
  json.end();
}

/// Returns the length of the dotted prefix that all names share.
size_t common_prefix(const std::vector<TensorRow>& tensors) {
  if (tensors.empty()) return 0;
  std::string_view common = tensors.front().name;
  for (const TensorRow& tensor : tensors) {
    auto [end, other] = std::mismatch(common.begin(), common.end(), tensor.name.begin(), tensor.name.end());
    common = common.substr(0, static_cast<size_t>(end - common.begin()));
  }
  size_t dot = common.rfind('.');
  return dot == std::string_view::npos ? 0 : dot + 1;
}

uint64_t size_of(const PlanContext& context, const std::filesystem::path& file) {
  auto at = context.sizes.find(file.string());
  return at == context.sizes.end() ? 0 : at->second;
}

void write_unconverted(JsonWriter& json, std::string_view key, const std::vector<convert::SkippedFile>& files,
    const PlanContext& context) {
  json.key(key).array();
  for (const convert::SkippedFile& left : files) {
    json.object().key("file").value(left.file.string()).key("reason").value(left.reason);
    json.key("bytes").value(size_of(context, left.file)).end();
  }
  json.end();
}

void write_file(JsonWriter& json, const convert::FileReport& file, const PlanContext& context) {
  json.object();
  write_members(json, file);
  json.key("bytes").value(size_of(context, file.source));
  json.key("source_sha256").value(file.digested_sources.empty() ? "" : file.digested_sources.front().sha256);
  json.key("target_sha256").value(file.target_sha256).end();
}

}  // namespace

void write_shares(JsonWriter& json, const std::vector<TensorRow>& tensors) {
  std::map<std::string, Share> dtypes, modules;
  const size_t skip = common_prefix(tensors);
  auto add = [](Share& share, const TensorRow& tensor) {
    share.bytes += tensor.bytes;
    ++share.tensors;
  };
  for (const TensorRow& tensor : tensors) {
    add(dtypes[tensor.dtype], tensor);
    std::string_view rest = std::string_view(tensor.name).substr(std::min(skip, tensor.name.size()));
    add(modules[std::string(rest.substr(0, rest.find('.')).substr(0, 80))], tensor);
  }
  json.object().key("by_dtype");
  write_largest(json, dtypes);
  json.key("by_module");
  write_largest(json, modules);
  json.end();
}

void write_scan(JsonWriter& json, const std::vector<scan::ScannedFile>& scans) {
  std::string_view verdict = scans.empty() ? "no-pickle" : "tensors-only";
  for (const scan::ScannedFile& file : scans) {
    if (file.scan.verdict == scan::Verdict::has_code) verdict = "has-code";
    if (file.scan.verdict == scan::Verdict::unreadable && verdict != "has-code") verdict = "unreadable";
  }
  json.object().key("verdict").value(verdict).key("findings").array();
  size_t listed = 0;
  for (const scan::ScannedFile& file : scans) {
    for (const scan::Finding& finding : file.scan.findings) {
      if (++listed > kMaxListed) break;
      json.object().key("file").value(file.path).key("record").value(finding.record);
      json.key("offset").value(finding.offset_bytes).key("what").value(finding.what);
      json.key("grade").value(name(finding.grade)).key("words").value(finding.effect);
      json.key("count").value(finding.count).end();
    }
  }
  json.end().key("globals").array();
  listed = 0;
  for (const scan::ScannedFile& file : scans) {
    for (const scan::NamedGlobal& global : file.scan.globals) {
      if (++listed > kMaxListed) break;
      json.object().key("file").value(file.path).key("name").value(global.name).key("inert").value(global.inert);
      json.key("count").value(global.count).key("words").value(global.effect).end();
    }
  }
  json.end().end();
}

void write_report(JsonWriter& json, const repo::RepoReport& report, const std::vector<TensorRow>& tensors,
    const PlanContext& context) {
  json.key("outcome").value(name(report.outcome)).key("commit").value(report.commit).key("files").array();
  uint64_t count = 0;
  for (const convert::FileReport& file : report.report.files) {
    write_file(json, file, context);
    count += file.tensors;
  }
  json.end().key("indexes");
  write_indexes(json, report.report.indexes);
  const bool nothing = report.outcome == repo::Outcome::nothing_to_do;
  write_unconverted(json, "already",
      nothing && report.report.up_to_date.empty() ? report.plan.up_to_date : report.report.up_to_date, context);
  write_unconverted(
      json, "left", nothing && report.report.skipped.empty() ? report.plan.skipped : report.report.skipped, context);
  json.key("failed");
  write_failures(json, report.report.failed, [](const Error& error) { return error.hint(); });
  json.key("read_bytes").value(report.plan.source_bytes).key("previous").array();
  for (const repo::PullRequest& request : report.previous) {
    const hub::Discussion& discussion = request.discussion;
    json.object().key("number").value(discussion.number).key("title").value(discussion.title);
    json.key("author").value(discussion.author).key("status").value(name(discussion.status));
    json.key("url").value(context.url_of(discussion.number)).key("does_it");
    json.value(report.outcome == repo::Outcome::already_open).end();
  }
  json.end().key("title").value(report.title).key("description").value(report.description).key("scan");
  write_scan(json, report.scans);
  json.key("shares");
  write_shares(json, tensors);
  json.key("tensors").value(count).key("notes");
  std::vector<std::string> notes = report.report.notes;
  notes.insert(notes.end(), report.notes.begin(), report.notes.end());
  convert::write_texts(json, notes);
}

void append_rows(std::vector<TensorRow>& rows, const std::vector<convert::DigestedTensor>& tensors,
    const std::string& file, std::string_view verdict) {
  for (const convert::DigestedTensor& tensor : tensors)
    rows.push_back({.name = tensor.name,
        .dtype = std::string(name(tensor.dtype)),
        .shape = tensor.shape,
        .bytes = tensor.size_bytes,
        .file = file,
        .sha256 = tensor.sha256,
        .verdict = std::string(verdict),
        .note = {}});
}

std::vector<TensorRow> rows_of(const repo::RepoReport& report, std::string_view verdict) {
  std::vector<TensorRow> rows;
  for (const convert::FileReport& file : report.report.files) {
    const std::string target = file.target.string();
    const size_t first = rows.size();
    append_rows(rows, file.contents, target, verdict);
    std::map<std::string, size_t> by_name;
    if (!file.tied.empty())
      for (size_t i = first; i < rows.size(); ++i) by_name.emplace(rows[i].name, i);
    for (const convert::Tied& tied : file.tied) {
      auto kept = by_name.find(tied.kept);
      if (kept == by_name.end()) continue;
      TensorRow row = rows[kept->second];
      row.name = tied.name;
      row.bytes = 0;  // counted at the other name
      row.note = "stored once, as " + tied.kept;
      rows.push_back(std::move(row));
    }
    for (const Unsupported& tensor : file.unsupported)
      rows.push_back({.name = tensor.name,
          .dtype = {},
          .shape = {},
          .bytes = 0,
          .file = target,
          .sha256 = {},
          .verdict = "skipped",
          .note = tensor.what});
  }
  return rows;
}

}  // namespace depickle::server::jobs
