#include "cli/scan_report.h"

#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>

#include "cli/hint.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"

namespace depickle::cli {
namespace {

using scan::Finding;
using scan::Grade;
using scan::NamedGlobal;
using scan::Scan;
using scan::Verdict;

std::string_view class_of(const NamedGlobal& global) { return global.inert ? "inert" : "code"; }

Grade worst_grade(const Scan& scan) { return std::ranges::max_element(scan.findings, {}, &Finding::grade)->grade; }

std::string summary(const Scan& scan) {
  uint64_t findings = 0;
  for (const Finding& finding : scan.findings) findings += finding.count;
  switch (scan.verdict) {
    case Verdict::tensors_only: {
      const auto inert = static_cast<uint64_t>(std::ranges::count_if(scan.globals, &NamedGlobal::inert));
      return scan.pickles == 0 ? "contains no pickle"
                               : fmt::format("only builds tensors and plain containers ({})", plural(inert, "global"));
    }
    case Verdict::has_code:
      switch (worst_grade(scan)) {
        case Grade::inert:
          return fmt::format("also builds objects that only store data ({})", plural(findings, "finding"));
        case Grade::unknown: return fmt::format("loading it uses unknown code ({})", plural(findings, "finding"));
        case Grade::executes: return fmt::format("loading it executes code ({})", plural(findings, "finding"));
      }
      break;
    case Verdict::unreadable: return scan.error ? scan.error->what() : "could not be read";
  }
  return {};
}

Color color_of(const Scan& scan) {
  switch (scan.verdict) {
    case Verdict::tensors_only: return Color::green;
    case Verdict::unreadable: return Color::yellow;
    case Verdict::has_code: break;
  }
  return worst_grade(scan) == Grade::executes ? Color::red : Color::yellow;
}

// Findings that are shown as one line: of one package, with the same effect.
struct Family {
  const Finding* first;
  uint64_t findings = 0, count = 0;
};

std::string_view package_of(const Finding& finding) {
  return std::string_view(finding.global).substr(0, finding.global.find('.'));
}

std::vector<Family> families(const std::vector<Finding>& findings) {
  std::vector<Family> families;
  std::map<std::tuple<std::string_view, Grade, std::string_view, std::string_view>, size_t> index;
  for (const Finding& finding : findings) {
    size_t at = families.size();
    if (finding.grade != Grade::executes)
      at = index.try_emplace({finding.record, finding.grade, finding.effect, package_of(finding)}, at).first->second;
    if (at == families.size()) families.push_back({.first = &finding});
    ++families[at].findings;
    families[at].count += finding.count;
  }
  std::ranges::stable_sort(families, std::greater{}, [](const Family& family) { return family.first->grade; });
  return families;
}

void print_family(const Console& console, const Family& family) {
  const Finding& finding = *family.first;
  std::string line = finding.record.empty() ? fmt::format("  byte {}", finding.offset_bytes)
                                            : fmt::format("  {}, byte {}", finding.record, finding.offset_bytes);
  line += "   " + finding.what;
  if (family.findings > 1) line += fmt::format(" and {} more of {}", family.findings - 1, package_of(finding));
  line += fmt::format("   {}: {}", name(finding.grade), finding.effect);
  if (family.findings == 1 && family.count > 1) line += fmt::format("  ({} times)", grouped(family.count));
  console.out(line + "\n");
}

bool builds_tensors(const Scan& scan) {
  return std::ranges::any_of(scan.globals, [](const NamedGlobal& global) {
    return global.inert &&
           (global.name.find("_rebuild_") != std::string::npos || global.name.find("multiarray") != std::string::npos);
  });
}

void print_file(const Console& console, const Scan& scan) {
  for (const Family& family : families(scan.findings)) print_family(console, family);
  if (scan.verdict == Verdict::has_code) {
    const auto inert = static_cast<uint64_t>(std::ranges::count_if(scan.globals, &NamedGlobal::inert));
    if (inert > 0)
      console.out(fmt::format("  {} can only build tensors and plain containers\n", plural(inert, "other global")));
    if (scan.error) console.out(fmt::format("  not read to the end: {}\n", scan.error->what()));
  }
  for (const std::string& note : scan.notes) console.out(fmt::format("  note: {}\n", printable(note)));
  if (scan.verdict == Verdict::unreadable && scan.error && !hint(*scan.error).empty())
    console.say(fmt::format("hint: {}\n", hint(*scan.error)));
  if (scan.verdict == Verdict::has_code && builds_tensors(scan))
    console.say("hint: depickle convert reads the tensors of such a file without executing any of this\n");
}

void write_finding(JsonWriter& json, const Finding& finding) {
  json.object().key("record").value(finding.record).key("offset").value(finding.offset_bytes);
  json.key("grade").value(name(finding.grade)).key("global").value(finding.global).key("what").value(finding.what);
  json.key("words").value(finding.effect).key("count").value(finding.count).end();
}

void write_global(JsonWriter& json, const NamedGlobal& global) {
  json.object().key("record").value(global.record).key("name").value(global.name);
  json.key("class").value(class_of(global)).key("count").value(global.count);
  json.key("offset").value(global.offset_bytes).end();
}

}  // namespace

void print_scan_text(const Console& console, const std::vector<scan::ScannedFile>& files) {
  for (const auto& [path, scan] : files) {
    const std::string which = files.size() > 1 ? printable(path) + ": " : "";
    console.out(fmt::format("{}{}: {}\n", which, console.painted(color_of(scan), name(scan.verdict)), summary(scan)));
    print_file(console, scan);
  }
}

void print_scan_json(const Console& console, const std::vector<scan::ScannedFile>& files) {
  std::string out;
  JsonWriter json(out);
  json.object().key("schema").value("depickle.scan/1").key("files").array();
  for (const auto& [path, scan] : files) {
    json.object().key("file").value(path).key("verdict").value(name(scan.verdict));
    json.key("pickles").value(scan.pickles).key("findings").array();
    for (const Finding& finding : scan.findings) write_finding(json, finding);
    json.end().key("globals").array();
    for (const NamedGlobal& global : scan.globals) write_global(json, global);
    json.end().key("notes").array();
    for (const std::string& note : scan.notes) json.value(note);
    json.end().key("error");
    scan.error ? json.value(scan.error->what()) : json.null();
    json.end();
  }
  json.end().end();
  console.out(out);
}

}  // namespace depickle::cli
