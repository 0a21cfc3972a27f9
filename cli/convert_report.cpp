#include "cli/convert_report.h"

#include <algorithm>

#include <fmt/format.h>

#include "cli/hint.h"
#include "depickle/base/text.h"
#include "depickle/convert/report_json.h"

namespace depickle::cli {
namespace {

using convert::FileReport;
using convert::Report;

class Printer {
 public:
  Printer(const Console& console, bool dry_run) : console_(console), dry_run_(dry_run) {}

  void print(const Report& report) const {
    bool many = report.files.size() > 1 || !report.indexes.empty();
    for (const FileReport& file : report.files) print_file(file, many);
    for (const convert::IndexReport& index : report.indexes) {
      line("index", fmt::format("{}{}, {} of tensors", dry_run_ ? "would write " : "", printable(index.target.string()),
                        human_bytes(index.total_bytes)));
      for (const std::string& note : index.notes) line("note", printable(note));
    }
    for (const convert::SkippedFile& left : report.up_to_date)
      line("already", fmt::format("{}: {}", printable(left.file.string()), printable(left.reason)));
    for (const convert::SkippedFile& left : report.skipped)
      line("skipped", fmt::format("{}: {}", printable(left.file.string()), printable(left.reason)));
    for (const std::string& note : report.notes) line("note", printable(note));
    for (const convert::FailedFile& failure : report.failed) console_.error(failure.error);
    if (report.nothing_to_do())
      console_.say(report.up_to_date.empty() ? "nothing to do: no pickled weights found\n"
                                             : "nothing to do: already safetensors\n");
  }

 private:
  void line(std::string_view label, std::string_view what) const {
    console_.out(fmt::format("{} {}\n", console_.painted(Color::dim, fmt::format("{:<8}", label)), what));
  }

  void print_file(const FileReport& file, bool many) const {
    std::string which = many || dry_run_ ? fmt::format("{}: ", printable(file.target.string())) : "";
    if (dry_run_) {
      console_.out(
          fmt::format("would write {}{}, {}\n", which, plural(file.tensors, "tensor"), human_bytes(file.file_bytes)));
    } else {
      console_.out(which + console_.painted(Color::green, convert::counts_text({&file, 1}) + ".") +
                   fmt::format(" {} in {:.2f} s.\n", human_bytes(file.file_bytes), file.seconds));
    }
    line("part", file.root.empty() ? std::string("the whole file") : printable(file.root));
    for (const convert::Tied& tied : file.tied)
      line("tied", fmt::format("{} is {}, stored once", printable(tied.name), printable(tied.kept)));
    print_unused(file);
    for (const Unsupported& tensor : file.unsupported)
      line("skipped",
          fmt::format("{}: {}, which safetensors does not support", quoted(tensor.name), printable(tensor.what)));
    for (const std::string& note : file.notes) line("note", printable(note));
  }

  void print_unused(const FileReport& file) const {
    constexpr size_t kMax = 12;
    std::string names;
    for (size_t i = 0; i < file.unused.size() && i < kMax; ++i) {
      const Unused& unused = file.unused[i];
      names += fmt::format("{}{}", i ? ", " : "", quoted(unused.path, 60));
      if (unused.tensors > 0) names += fmt::format(" ({})", plural(unused.tensors, "tensor"));
    }
    if (file.unused.size() > kMax) names += fmt::format(" and {} more", file.unused.size() - kMax);
    if (!names.empty()) line("unused", names + " (not weights)");
  }

  const Console& console_;
  bool dry_run_;
};

}  // namespace

void write_report(JsonWriter& json, const Report& report) {
  json.key("files").array();
  for (const FileReport& file : report.files) {
    json.object();
    write_members(json, file);
    json.end();
  }
  json.end().key("indexes");
  write_indexes(json, report.indexes);
  auto write_files = [&](std::string_view key, const std::vector<convert::SkippedFile>& files) {
    json.key(key).array();
    for (const convert::SkippedFile& left : files)
      json.object().key("file").value(left.file.string()).key("reason").value(left.reason).end();
    json.end();
  };
  write_files("already", report.up_to_date);
  write_files("left", report.skipped);
  json.key("failed");
  write_failures(json, report.failed, hint);
  json.key("notes");
  convert::write_texts(json, report.notes);
}

void print_report(const Console& console, const Report& report, bool dry_run) {
  Printer(console, dry_run).print(report);
}

}  // namespace depickle::cli
