// depickle scan: what a file would do if a real unpickler loaded it.
#include <algorithm>
#include <array>
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
#include "depickle/hub/download.h"
#include "depickle/os/mapped_file.h"
#include "depickle/repo/pick.h"
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

// In a folder, what may be a pickle by its name or by its first bytes.
bool worth_scanning(const fs::path& path) {
  constexpr std::array<std::string_view, 9> kEndings = {
      ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".ptl", ".safetensors", ".joblib"};
  if (std::ranges::find(kEndings, path.extension().string()) != kEndings.end()) return true;
  auto file = os::MappedFile::open(path);
  std::string_view head = text(file->view(0, std::min<uint64_t>(file->size_bytes(), 4)));
  bool pickle = head.size() >= 2 && head[0] == '\x80' && head[1] >= 0 && head[1] <= 5;
  return pickle || head == std::string_view("PK\x03\x04", 4);
}

// A file to be looked into: on this disk, or on the Hub.
struct Named {
  fs::path path;  // what it is called
  std::shared_ptr<const ByteSource> remote = nullptr;
};

void add_local(std::vector<Named>& files, const fs::path& path) {
  if (!fs::is_directory(path)) return files.push_back({path});
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file() && worth_scanning(entry.path())) found.push_back(entry.path());
  }
  std::ranges::sort(found);
  for (fs::path& file : found) files.push_back({std::move(file)});
}

// The file that is named, or all below it that may be pickles.
void add_remote(std::vector<Named>& files, const hub::Client& client, const hub::Address& address) {
  const std::string commit = hub::resolve_commit(client, address.repo, address.revision);
  const std::string folder = address.path.empty() ? "" : address.path + "/";
  for (const hub::RepoFile& file : hub::list_commit(client, address.repo, commit)) {
    const bool below =
        file.path.starts_with(folder) && (repo::is_pickle_name(file.path) || file.path.ends_with(".safetensors"));
    if (file.path != address.path && !below) continue;
    files.push_back({hub::hf_address(address.repo, address.revision, file.path),
        repo::open_source(client, address.repo, commit, file.path)});
  }
}

std::vector<Named> files_of(const std::vector<std::string>& addresses) {
  std::vector<Named> files;
  for (const std::string& text : addresses) {
    if (const auto address = hub_address(text)) {
      add_remote(files, hub_client(), *address);
    } else {
      add_local(files, local_path(text));
    }
  }
  return files;
}

std::string_view kind(const scan::NamedGlobal& global) { return global.inert ? "inert" : "code"; }

void print_json(const Console& console, const std::vector<ScannedFile>& files) {
  std::string out;
  JsonWriter json(out);
  json.object().key("schema").value("depickle.scan/1").key("files").array();
  for (const auto& [path, scan] : files) {
    json.object()
        .key("file")
        .value(path.string())
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
      json.key("words").value(finding.words).key("count").value(finding.count).end();
    }
    json.end().key("globals").array();
    for (const scan::NamedGlobal& global : scan.globals) {
      json.object().key("record").value(global.record).key("name").value(global.name).key("class").value(kind(global));
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

std::string sentence(const scan::Scan& scan) {
  uint64_t findings = 0, inert = 0;
  for (const scan::Finding& finding : scan.findings) findings += finding.count;
  for (const scan::NamedGlobal& global : scan.globals) inert += global.inert;
  switch (scan.verdict) {
    case Verdict::tensors_only:
      return scan.pickles == 0
                 ? "holds no pickle"
                 : fmt::format("{} named, which only build tensors and plain containers", plural(inert, "global"));
    case Verdict::has_code: return fmt::format("{} beyond the building of tensors", plural(findings, "step"));
    case Verdict::unreadable: return scan.error ? scan.error->what() : "cannot be read";
  }
  return {};
}

void print_text(const Console& console, const std::vector<ScannedFile>& files) {
  for (const auto& [path, scan] : files) {
    Color color = scan.verdict == Verdict::tensors_only ? Color::green
                  : scan.verdict == Verdict::has_code   ? Color::red
                                                        : Color::yellow;
    std::string which = files.size() > 1 ? printable(path.string()) + ": " : "";
    console.out(fmt::format("{}{}: {}\n", which, console.painted(color, name(scan.verdict)), sentence(scan)));
    for (const scan::Finding& finding : scan.findings) {
      std::string place = finding.record.empty() ? fmt::format("byte {}", finding.offset_bytes)
                                                 : fmt::format("{}, byte {}", finding.record, finding.offset_bytes);
      std::string times = finding.count > 1 ? fmt::format("  ({} times)", grouped(finding.count)) : "";
      console.out(fmt::format("  {}   {}   {}{}\n", place, finding.what, finding.words, times));
    }
    uint64_t inert = static_cast<uint64_t>(std::ranges::count_if(scan.globals, &scan::NamedGlobal::inert));
    if (scan.verdict == Verdict::has_code && inert > 0)
      console.out(fmt::format("  {} only build tensors and plain containers\n", plural(inert, "other global")));
    if (scan.verdict == Verdict::has_code && scan.error)
      console.out(fmt::format("  and it breaks off: {}\n", scan.error->what()));
    if (scan.verdict == Verdict::unreadable && scan.error && !hint(*scan.error).empty())
      console.say(fmt::format("hint: {}\n", hint(*scan.error)));
    for (const std::string& note : scan.notes) console.out(fmt::format("  note: {}\n", printable(note)));
    if (scan.verdict == Verdict::has_code)
      console.say("hint: depickle convert reads the tensors of such a file without running any of this\n");
  }
}

// Code outweighs what could not be read: it is the stronger no.
int verdict_code(const std::vector<ScannedFile>& files) {
  auto any = [&](Verdict verdict) {
    return std::ranges::any_of(files, [&](const ScannedFile& file) { return file.scan.verdict == verdict; });
  };
  return any(Verdict::has_code) ? kNo : any(Verdict::unreadable) ? kCouldNot : kYes;
}

}  // namespace

void add_scan(CLI::App& app, Program& program) {
  auto options = std::make_shared<ScanCommand>();
  CLI::App* command = app.add_subcommand(
      "scan", "Say what a pickle would do if it were loaded: every global and call beyond the building of tensors");
  command->add_option("ADDR", options->addresses, "Files, folders to look through, or hf://ORG/NAME[@REV][/PATH]")
      ->required();
  auto* json = command->add_flag("--json", options->json, "One JSON object (docs/json.md)");
  command->add_flag("--sarif", options->sarif, "SARIF 2.1.0, for code scanning services")->excludes(json);
  command->callback([options, &program] {
    program.run = [options, &program] {
      std::vector<ScannedFile> files;
      for (Named& file : files_of(options->addresses)) {
        check_interrupted();
        files.push_back(
            {file.path, file.remote ? scan::scan(std::exchange(file.remote, nullptr)) : scan::scan(file.path)});
      }
      if (files.empty())
        throw Error(Code::not_found, "", "the folder holds no file that may be a pickle",
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
