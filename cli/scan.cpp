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
#include "cli/sarif.h"
#include "cli/scan_report.h"
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
  return detect::is_pickle_name(path) || detect::is_safetensors_name(path) || detect::is_numpy_name(path);
}

// Weak signs of a pickle (protocols 0 and 1) and tar archives do not count: too many other files of a folder have them.
bool has_scanned_content(const fs::path& path) {
  using detect::FileKind;
  const auto file = os::MappedFile::open(path);
  const Bytes head = file->view(0, std::min(file->size_bytes(), detect::kHeadBytes));
  const FileKind kind = detect::file_kind(head);
  return kind == FileKind::zip || kind == FileKind::torch_legacy || kind == FileKind::safetensors ||
         kind == FileKind::npy || detect::begins_with_proto(head);
}

// A file to scan, on disk or on the Hub.
struct Target {
  fs::path path;  // for display, if the file is on the Hub
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
      if (has_scanned_name(path.native()) || has_scanned_content(path)) found_.push_back({.path = path});
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
scan::Scan scan_target(Target& target, bool is_only) {
  try {
    if (target.error) throw *target.error;
    return target.remote ? scan::scan(std::exchange(target.remote, nullptr)) : scan::scan(target.path);
  } catch (const Error& error) {
    if (is_only || error.code() == Code::cancelled) throw;
    return {.verdict = Verdict::unreadable, .error = error};
  }
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
  command->callback([options, &program] {
    program.run = [options, &program] {
      std::vector<scan::ScannedFile> files;
      std::vector<Target> targets = targets_of(options->addresses);
      for (Target& target : targets) {
        check_interrupted();
        files.push_back({target.path.string(), scan_target(target, targets.size() == 1)});
      }
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
