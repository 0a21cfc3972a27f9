// depickle scan: reports what loading a file would execute.
#include <algorithm>
#include <map>
#include <memory>
#include <optional>

#include <CLI/CLI.hpp>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/progress_bar.h"
#include "cli/sandbox.h"
#include "cli/sarif.h"
#include "cli/scan_report.h"
#include "depickle/base/parallel.h"
#include "depickle/formats/detect/file_kind.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/hub/download.h"
#include "depickle/os/mapped_file.h"
#include "depickle/repo/remote.h"
#include "depickle/scan/scan.h"

namespace depickle::cli {
namespace {

namespace fs = std::filesystem;
using scan::Grade;
using scan::Verdict;

struct ScanCommand {
  std::vector<std::string> addresses;
  bool json = false;
  bool sarif = false;
  scan::Grade min_grade = scan::Grade::inert;
};

bool has_scanned_name(std::string_view path) {
  path = detect::without_compression(path);  // joblib opens compressed files
  return detect::is_pickle_name(path) || detect::is_safetensors_name(path) || detect::is_numpy_name(path);
}

// Whether a file of a folder belongs in the report.
enum class Wanted {
  no,
  yes,
  if_found,  // it has weak signs of a pickle, as many other files have: only if the scan finds something
};

Wanted wanted_by_content(const fs::path& path) {
  using detect::FileKind;
  const auto file = os::MappedFile::open(path);
  const Bytes head = file->view(0, std::min(file->size_bytes(), detect::kHeadBytes));
  if (detect::begins_with_proto(head)) return Wanted::yes;
  switch (detect::file_kind(head)) {
    case FileKind::zip:
    case FileKind::torch_legacy:
    case FileKind::safetensors:
    case FileKind::npy: return Wanted::yes;
    case FileKind::tar:
    case FileKind::plain_pickle: return Wanted::if_found;
    default: return Wanted::no;
  }
}

// A file to scan, on disk or on the Hub.
struct Target {
  fs::path path;  // for display, if the file is on the Hub
  Wanted wanted = Wanted::yes;
  std::shared_ptr<const ByteSource> remote = nullptr;
  std::optional<Error> error = {};  // the file could not be opened
};

// Finds the files of a folder that may contain a pickle by name or content. Links to folders are not followed. What
// cannot be read is a target, too: its error belongs to the report.
class FolderSearch {
 public:
  std::vector<Target> run(const fs::path& folder) {
    search(folder, 0);
    std::ranges::sort(found_, {}, &Target::path);
    return std::move(found_);
  }

 private:
  static constexpr int kMaxDepth = 100;

  void fail(const fs::path& path, const std::error_code& failed) {
    found_.push_back({.path = path, .error = system_error(failed.value(), "cannot read", path.string())});
  }

  void search(const fs::path& folder, int depth) {
    check_interrupted();
    std::error_code failed;
    fs::directory_iterator entry(folder, failed);
    for (; !failed && entry != fs::directory_iterator(); entry.increment(failed)) add(*entry, depth);
    if (failed) fail(folder, failed);
  }

  void add(const fs::directory_entry& entry, int depth) {
    std::error_code failed;
    const fs::path& path = entry.path();
    const fs::file_status status = entry.status(failed);
    if (status.type() == fs::file_type::not_found) return;  // a link to a missing file, or a file that was deleted
    if (failed) return fail(path, failed);
    if (fs::is_directory(status)) {
      if (entry.is_symlink(failed)) return;
      if (depth < kMaxDepth) return search(path, depth + 1);
      return fail(path, std::make_error_code(std::errc::filename_too_long));
    }
    if (!fs::is_regular_file(status)) return;
    try {
      const Wanted wanted = has_scanned_name(path.native()) ? Wanted::yes : wanted_by_content(path);
      if (wanted != Wanted::no) found_.push_back({.path = path, .wanted = wanted});
    } catch (const Error& error) {
      found_.push_back({.path = path, .error = error});
    }
  }

  std::vector<Target> found_;
};

void add_local(std::vector<Target>& files, const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return files.push_back({.path = path});
  for (Target& target : FolderSearch().run(path)) files.push_back(std::move(target));
}

// Adds the file, or the files below the folder that may contain a pickle by name.
void add_remote(std::vector<Target>& files, const hub::Client& client, const hub::Address& address) {
  const std::string commit = hub::resolve_commit(client, address.repo, address.revision);
  const std::string folder = address.path.empty() ? "" : address.path + "/";
  for (const hub::RepoFile& file : hub::list_commit(client, address.repo, commit)) {
    const bool is_in_folder = file.path.starts_with(folder) && has_scanned_name(file.path);
    if (file.path != address.path && !is_in_folder) continue;
    files.push_back({.path = hub::hf_address(address.repo, address.revision, file.path),
        .remote = repo::open_source(client, address.repo, commit, file.path)});
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

// In a report of several files, a file that cannot be opened is one of them. A single one is an error of the command.
scan::Scan scan_target(convert::Engine& engine, Target& target, bool is_only) {
  try {
    if (target.error) throw *target.error;
    return engine.scan_file(target.remote ? std::exchange(target.remote, nullptr) : os::MappedFile::open(target.path));
  } catch (const Error& error) {
    if (is_only || error.code() == Code::cancelled || error.reason() == Reason::no_sandbox) throw;
    return {.verdict = Verdict::unreadable, .error = error};
  }
}

// Returns whether a scan says more than that the file is not one that a loader reads: a text, another archive.
bool found_something(const scan::Scan& scan) {
  if (!scan.findings.empty() || !scan.error) return !scan.findings.empty();
  return scan.error->reason() != Reason::unknown_format && !scan.error->rule().starts_with("PK");
}

std::vector<scan::ScannedFile> scan_all(convert::Engine& engine, std::vector<Target> targets) {
  std::vector<scan::ScannedFile> files(targets.size());
  parallel_for(targets.size(), default_threads(), [&](uint64_t i) {
    check_interrupted();
    files[i] = {targets[i].path.string(), scan_target(engine, targets[i], targets.size() == 1)};
  });
  std::vector<scan::ScannedFile> wanted;
  for (size_t i = 0; i < files.size(); ++i)
    if (targets[i].wanted == Wanted::yes || found_something(files[i].scan)) wanted.push_back(std::move(files[i]));
  return wanted;
}

// If one file has findings and another is unreadable, the answer is no.
int verdict_code(const std::vector<scan::ScannedFile>& files, scan::Grade min_grade) {
  const bool has_findings = std::ranges::any_of(files, [&](const scan::ScannedFile& file) {
    return std::ranges::any_of(
        file.scan.findings, [&](const scan::Finding& finding) { return finding.grade >= min_grade; });
  });
  const bool is_complete =
      std::ranges::none_of(files, [](const scan::ScannedFile& file) { return file.scan.error.has_value(); });
  return has_findings ? kNo : is_complete ? kYes : kCouldNot;
}

}  // namespace

void add_scan(CLI::App& app, Program& program) {
  auto options = std::make_shared<ScanCommand>();
  CLI::App* command = app.add_subcommand("scan", "Report what loading a pickle would execute");
  command->add_option("ADDR", options->addresses, "Files, folders, or hf://ORG/NAME[@REV][/PATH]")->required();
  auto* json = command->add_flag("--json", options->json, "One JSON object (docs/json.md)");
  command->add_flag("--sarif", options->sarif, "SARIF 2.1.0, for code scanning services")->excludes(json);
  command->add_option("--fail-on", options->min_grade, "Exit with 1 only for findings of this grade or a worse one")
      ->transform(CLI::CheckedTransformer(std::map<std::string, scan::Grade>{
          {"inert", Grade::inert}, {"unknown", Grade::unknown}, {"executes", Grade::executes}}))
      ->type_name("inert|unknown|executes")
      ->default_str("inert");
  add_sandbox_option(*command, program);
  command->callback([options, &program] {
    program.run = [options, &program] {
      const std::vector<scan::ScannedFile> files = scan_all(file_engine(program), targets_of(options->addresses));
      if (files.empty())
        throw Error(Code::not_found, "", "the folder contains no file that may be a pickle",
            Where::in(options->addresses.front()));
      if (options->json) {
        print_scan_json(program.console, files);
      } else if (options->sarif) {
        program.console.out(sarif(files, DEPICKLE_VERSION));
      } else {
        print_scan_text(program.console, files);
      }
      return verdict_code(files, options->min_grade);
    };
  });
}

}  // namespace depickle::cli
