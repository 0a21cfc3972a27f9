// depickle scan: reports what loading a file would execute.
#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/hint.h"
#include "cli/progress_bar.h"
#include "cli/sarif.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/file_kind.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/hub/download.h"
#include "depickle/os/mapped_file.h"
#include "depickle/repo/remote.h"
#include "depickle/scan/scan.h"

namespace depickle::cli {
namespace {

namespace fs = std::filesystem;
using scan::Verdict;

struct ScanCommand {
  std::vector<std::string> addresses;
  bool json = false;
  bool sarif = false;
};

bool has_scanned_name(std::string_view path) {
  return detect::is_pickle_name(path) || detect::is_safetensors_name(path);
}

// Weak signs of a pickle (protocols 0 and 1) and tar archives do not count: too many other files of a folder have them.
bool has_scanned_content(const fs::path& path) {
  using detect::FileKind;
  const auto file = os::MappedFile::open(path);
  const Bytes head = file->view(0, std::min(file->size_bytes(), detect::kHeadBytes));
  const FileKind kind = detect::file_kind(head);
  return kind == FileKind::zip || kind == FileKind::torch_legacy || kind == FileKind::safetensors ||
         detect::begins_with_proto(head);
}

// A file to scan, on disk or on the Hub.
struct Target {
  fs::path path;  // for display, if the file is on the Hub
  std::shared_ptr<const ByteSource> remote = nullptr;
};

// Adds the file, or the files of the folder that may contain a pickle by name or content.
void add_local(std::vector<Target>& files, const fs::path& path) {
  if (!fs::is_directory(path)) return files.push_back({path});
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file() && (has_scanned_name(entry.path().native()) || has_scanned_content(entry.path())))
      found.push_back(entry.path());
  }
  std::ranges::sort(found);
  for (fs::path& file : found) files.push_back({std::move(file)});
}

// Adds the file, or the files below the folder that may contain a pickle by name.
void add_remote(std::vector<Target>& files, const hub::Client& client, const hub::Address& address) {
  const std::string commit = hub::resolve_commit(client, address.repo, address.revision);
  const std::string folder = address.path.empty() ? "" : address.path + "/";
  for (const hub::RepoFile& file : hub::list_commit(client, address.repo, commit)) {
    const bool is_in_folder = file.path.starts_with(folder) && has_scanned_name(file.path);
    if (file.path != address.path && !is_in_folder) continue;
    files.push_back({hub::hf_address(address.repo, address.revision, file.path),
        repo::open_source(client, address.repo, commit, file.path)});
  }
}

std::vector<Target> targets_of(const std::vector<std::string>& addresses) {
  std::vector<Target> files;
  for (const std::string& text : addresses) {
    if (const auto address = hub_address(text)) {
      add_remote(files, hub_client(), *address);
    } else {
      add_local(files, local_path(text));
    }
  }
  return files;
}

std::string_view class_of(const scan::NamedGlobal& global) { return global.inert ? "inert" : "code"; }

void print_json(const Console& console, const std::vector<scan::ScannedFile>& files) {
  std::string out;
  JsonWriter json(out);
  json.object().key("schema").value("depickle.scan/1").key("files").array();
  for (const auto& [path, scan] : files) {
    json.object()
        .key("file")
        .value(path)
        .key("verdict")
        .value(name(scan.verdict))
        .key("pickles")
        .value(scan.pickles)
        .key("findings")
        .array();
    for (const scan::Finding& finding : scan.findings) {
      json.object()
          .key("record")
          .value(finding.record)
          .key("offset")
          .value(finding.offset_bytes)
          .key("what")
          .value(finding.what);
      json.key("words").value(finding.effect).key("count").value(finding.count).end();
    }
    json.end().key("globals").array();
    for (const scan::NamedGlobal& global : scan.globals) {
      json.object()
          .key("record")
          .value(global.record)
          .key("name")
          .value(global.name)
          .key("class")
          .value(class_of(global));
      json.key("count").value(global.count).key("offset").value(global.offset_bytes).end();
    }
    json.end().key("notes").array();
    for (const std::string& note : scan.notes) json.value(note);
    json.end().key("error");
    scan.error ? json.value(scan.error->what()) : json.null();
    json.end();
  }
  json.end().end();
  console.out(out);
}

std::string summary(const scan::Scan& scan) {
  uint64_t findings = 0, inert = 0;
  for (const scan::Finding& finding : scan.findings) findings += finding.count;
  for (const scan::NamedGlobal& global : scan.globals) inert += global.inert;
  switch (scan.verdict) {
    case Verdict::tensors_only:
      return scan.pickles == 0 ? "contains no pickle"
                               : fmt::format("only builds tensors and plain containers ({})", plural(inert, "global"));
    case Verdict::has_code: return fmt::format("loading it executes code ({})", plural(findings, "finding"));
    case Verdict::unreadable: return scan.error ? scan.error->what() : "could not be read";
  }
  return {};
}

void print_text(const Console& console, const std::vector<scan::ScannedFile>& files) {
  for (const auto& [path, scan] : files) {
    Color color = scan.verdict == Verdict::tensors_only ? Color::green
                  : scan.verdict == Verdict::has_code   ? Color::red
                                                        : Color::yellow;
    std::string which = files.size() > 1 ? printable(path) + ": " : "";
    console.out(fmt::format("{}{}: {}\n", which, console.painted(color, name(scan.verdict)), summary(scan)));
    for (const scan::Finding& finding : scan.findings) {
      std::string place = finding.record.empty() ? fmt::format("byte {}", finding.offset_bytes)
                                                 : fmt::format("{}, byte {}", finding.record, finding.offset_bytes);
      std::string times = finding.count > 1 ? fmt::format("  ({} times)", grouped(finding.count)) : "";
      console.out(fmt::format("  {}   {}   {}{}\n", place, finding.what, finding.effect, times));
    }
    uint64_t inert = static_cast<uint64_t>(std::ranges::count_if(scan.globals, &scan::NamedGlobal::inert));
    if (scan.verdict == Verdict::has_code && inert > 0)
      console.out(fmt::format("  {} can only build tensors and plain containers\n", plural(inert, "other global")));
    if (scan.verdict == Verdict::has_code && scan.error)
      console.out(fmt::format("  not read to the end: {}\n", scan.error->what()));
    if (scan.verdict == Verdict::unreadable && scan.error && !hint(*scan.error).empty())
      console.say(fmt::format("hint: {}\n", hint(*scan.error)));
    for (const std::string& note : scan.notes) console.out(fmt::format("  note: {}\n", printable(note)));
    if (scan.verdict == Verdict::has_code)
      console.say("hint: depickle convert reads the tensors of such a file without executing any of this\n");
  }
}

// If one file has code and another is unreadable, the answer is no.
int verdict_code(const std::vector<scan::ScannedFile>& files) {
  auto any = [&](Verdict verdict) {
    return std::ranges::any_of(files, [&](const scan::ScannedFile& file) { return file.scan.verdict == verdict; });
  };
  return any(Verdict::has_code) ? kNo : any(Verdict::unreadable) ? kCouldNot : kYes;
}

}  // namespace

void add_scan(CLI::App& app, Program& program) {
  auto options = std::make_shared<ScanCommand>();
  CLI::App* command = app.add_subcommand("scan", "Report what loading a pickle would execute");
  command->add_option("ADDR", options->addresses, "Files, folders, or hf://ORG/NAME[@REV][/PATH]")->required();
  auto* json = command->add_flag("--json", options->json, "One JSON object (docs/json.md)");
  command->add_flag("--sarif", options->sarif, "SARIF 2.1.0, for code scanning services")->excludes(json);
  command->callback([options, &program] {
    program.run = [options, &program] {
      std::vector<scan::ScannedFile> files;
      for (Target& file : targets_of(options->addresses)) {
        check_interrupted();
        files.push_back({file.path.string(),
            file.remote ? scan::scan(std::exchange(file.remote, nullptr)) : scan::scan(file.path)});
      }
      if (files.empty())
        throw Error(Code::not_found, "", "the folder contains no file that may be a pickle",
            Where::in(options->addresses.front()));
      if (options->json) {
        print_json(program.console, files);
      } else if (options->sarif) {
        program.console.out(sarif(files, DEPICKLE_VERSION));
      } else {
        print_text(program.console, files);
      }
      return verdict_code(files);
    };
  });
}

}  // namespace depickle::cli
