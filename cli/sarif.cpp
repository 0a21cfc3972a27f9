#include "cli/sarif.h"

#include <optional>

#include <fmt/format.h>

#include "depickle/base/json.h"

namespace depickle::cli {
namespace {

void write_result(JsonWriter& json, std::string_view rule, std::string_view level, const std::string& message,
    const std::string& path, std::optional<uint64_t> offset_bytes) {
  json.object()
      .key("ruleId")
      .value(rule)
      .key("level")
      .value(level)
      .key("message")
      .object()
      .key("text")
      .value(message)
      .end();
  json.key("locations").array().object().key("physicalLocation").object();
  json.key("artifactLocation").object().key("uri").value(path).end();
  if (offset_bytes) json.key("region").object().key("byteOffset").value(*offset_bytes).end();
  json.end().end().end().end();
}

void write_rule(JsonWriter& json, std::string_view id, std::string_view text) {
  json.object().key("id").value(id).key("shortDescription").object().key("text").value(text).end().end();
}

std::string_view level(scan::Grade grade) {
  switch (grade) {
    case scan::Grade::inert: return "note";
    case scan::Grade::unknown: return "warning";
    case scan::Grade::executes: return "error";
  }
  return "error";
}

}  // namespace

std::string sarif(const std::vector<scan::ScannedFile>& files, std::string_view version) {
  std::string out;
  JsonWriter json(out);
  json.object()
      .key("$schema")
      .value("https://json.schemastore.org/sarif-2.1.0.json")
      .key("version")
      .value("2.1.0")
      .key("runs")
      .array()
      .object();
  json.key("tool")
      .object()
      .key("driver")
      .object()
      .key("name")
      .value("depickle")
      .key("version")
      .value(version)
      .key("rules")
      .array();
  write_rule(json, "has-code", "The pickle refers to or calls code that does not only build tensors");
  write_rule(json, "unreadable", "The file could not be parsed completely");
  json.end().end().end().key("results").array();
  for (const auto& [path, scan] : files) {
    for (const scan::Finding& finding : scan.findings) {
      // A region has an offset in the file. For a record of an archive, the text contains the place.
      const bool whole = finding.record.empty();
      std::string place = whole ? "" : fmt::format("{}, byte {}: ", finding.record, finding.offset_bytes);
      write_result(json, "has-code", level(finding.grade),
          fmt::format("{}{} ({})", place, finding.what, finding.effect), path,
          whole ? std::optional(finding.offset_bytes) : std::nullopt);
    }
    if (scan.verdict == scan::Verdict::unreadable && scan.error)
      write_result(json, "unreadable", "warning", scan.error->what(), path, scan.error->where().offset_bytes);
  }
  json.end().end().end().end();
  return out;
}

}  // namespace depickle::cli
