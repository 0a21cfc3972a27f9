#include "depickle/repo/convert.h"

#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/convert/receipt.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/hub/commit.h"
#include "depickle/hub/content_hash.h"
#include "depickle/hub/download.h"
#include "depickle/os/atomic_file.h"
#include "depickle/os/file_lock.h"
#include "depickle/os/mapped_file.h"
#include "depickle/repo/conversion.h"
#include "depickle/repo/files.h"

namespace depickle::repo {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxAttempts = 3;

// A temporary folder. Deletes what a killed process left in it, and deletes itself at the end.
class WorkFolder {
 public:
  explicit WorkFolder(fs::path path) : path_(std::move(path)) {
    remove_tree(path_);
    create_folder(path_);
  }
  ~WorkFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
    fs::remove(path_.parent_path(), ignored);  // fails unless it is empty
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  const fs::path& path() const noexcept { return path_; }

 private:
  fs::path path_;
};

// Returns the number that the next discussion gets, unless another one is opened first.
uint64_t next_number(const hub::Client& client, const hub::RepoId& repo) {
  uint64_t max_number = 0;
  for (const hub::Discussion& discussion : hub::list_discussions(client, repo))
    max_number = std::max(max_number, discussion.number);
  return max_number + 1;
}

// Returns the files to upload, with the digests from the receipt.
std::vector<hub::Addition> additions_of(
    const RepoReport& report, const fs::path& work, const convert::Receipt& receipt) {
  std::map<std::string, std::string> digests;
  for (const convert::Conversion& conversion : receipt.conversions)
    digests.emplace(conversion.target.path.string(), conversion.target.sha256);
  for (const convert::DigestedFile& index : receipt.indexes) digests.emplace(index.path.string(), index.sha256);
  std::vector<hub::Addition> additions;
  auto add = [&](const fs::path& path) {
    additions.push_back({.path = path.string(), .content = work / path, .sha256 = digests[path.string()]});
  };
  for (const convert::FileReport& file : report.report.files) add(file.target);
  for (const convert::IndexReport& index : report.report.indexes) add(index.target);
  return additions;
}

// Returns the new files with their content ids. A Hub stores small files without LFS; their id is that of the git blob.
std::vector<hub::RepoFile> files_of(const std::vector<hub::Addition>& additions) {
  constexpr uint64_t kMaxBlobBytes = 16 << 20;
  constexpr size_t kGitDigits = 40;
  std::vector<hub::RepoFile> files;
  for (const hub::Addition& addition : additions) {
    hub::RepoFile file{.path = addition.path, .size_bytes = 0, .blob_id = {}, .sha256 = addition.sha256};
    const auto content = os::MappedFile::open(std::get<fs::path>(addition.content));
    file.size_bytes = content->size_bytes();
    if (file.size_bytes <= kMaxBlobBytes) {
      hub::ContentHash hash(std::string(kGitDigits, '0'), file.size_bytes);
      hash.update(content->all());
      file.blob_id = hash.hex();
    }
    files.push_back(std::move(file));
  }
  return files;
}

// Throws if the repository has no discussions, and so no pull requests, before anything is converted.
void check_discussions(const hub::Client& client, const hub::RepoId& repo) {
  try {
    hub::list_discussions(
        client, repo, {.kind = hub::DiscussionFilter::Kind::pull_request, .state = hub::DiscussionFilter::State::open});
  } catch (const hub::Failure& failure) {
    // The Hub gives no code for this.
    if (failure.status() != 403 || lower_case(failure.what()).find("discussions are disabled") == std::string::npos)
      throw;
    throw Error(Code::unsupported, "", "discussions are disabled, so no pull request can be opened",
        Where::in(repo.name()), fmt::format("write to a folder: depickle convert {} -o FOLDER", repo.name()));
  }
}

// Waits until no other process on this machine converts the repository.
os::FileLock lock_repo(const hub::Client& client, const hub::Cache& cache, const hub::RepoId& repo) {
  const fs::path path = cache.lock_path(repo, "depickle-convert");
  create_folder(path.parent_path());
  return os::FileLock(path, client.settings().check_cancelled);
}

class PullRequestOpener {
 public:
  PullRequestOpener(const hub::Client& client, const hub::RepoId& repo, const ConvertOptions& options)
      : client_(client),
        repo_(repo),
        options_(options),
        cache_(client.settings().cache) {}

  RepoReport run() {
    const std::string author = client_.whoami().name;
    check_discussions(client_, repo_);
    const os::FileLock lock = lock_repo(client_, cache_, repo_);
    uint64_t downloaded_bytes = 0;
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      RepoConversion conversion(client_, repo_, options_);
      const bool done = try_once(conversion, author);
      downloaded_bytes += conversion.report().downloaded_bytes;
      conversion.report().downloaded_bytes = downloaded_bytes;
      if (done) return std::move(conversion.report());
    }
    throw Error(Code::network, "",
        fmt::format("the branch moved {} times while its weights were converted", kMaxAttempts),
        Where::in(repo_.name()), "try again later");
  }

 private:
  // Returns false if the branch has moved.
  bool try_once(RepoConversion& conversion, const std::string& author) {
    if (conversion.nothing_to_do()) return true;
    conversion.choose_branch();
    const WorkFolder work(cache_.repo_folder(repo_) / ".depickle" / conversion.commit());
    convert::Options convert = options_.convert;
    convert.receipt = work.path() / "receipt.json";
    convert.force = false;
    convert.durable = os::Durable::no;  // the files are deleted after the upload
    conversion.report().outcome = Outcome::opened;
    conversion.convert(work.path(), work.path(), convert);
    if (conversion.report().outcome != Outcome::opened) return true;

    std::error_code ignored;
    convert::Receipt receipt;
    std::string receipt_text;
    if (fs::exists(*convert.receipt, ignored)) {
      receipt = convert::read_receipt(*convert.receipt);
      receipt_text = text(os::MappedFile::open(*convert.receipt)->all());
    }
    const std::vector<hub::Addition> additions = additions_of(conversion.report(), work.path(), receipt);
    if (conversion.has_moved()) return false;
    const std::vector<hub::RepoFile> converted = files_of(additions);
    if (conversion.find_open_request(author, converted)) return true;
    const uint64_t number = next_number(client_, repo_);
    conversion.describe(number, &receipt, receipt_text);
    if (!push(conversion, additions)) return false;
    finish(conversion, author, converted, number, receipt_text);
    return true;
  }

  bool push(RepoConversion& conversion, const std::vector<hub::Addition>& additions) {
    RepoReport& report = conversion.report();
    hub::CommitRequest request{
        .title = report.title, .description = report.description, .additions = additions, .deletions = {}};
    request.parent_commit = conversion.commit();
    request.create_pull_request = true;
    try {
      const hub::CommitResult result = hub::commit(client_, repo_, conversion.branch(), request, options_.progress);
      report.outcome = result.is_unchanged ? Outcome::nothing_to_do : Outcome::opened;
      report.pull_request = result.pull_request;
      report.pull_request_commit = result.is_unchanged ? "" : result.commit;
      report.url = result.url;
      return true;
    } catch (const hub::Failure& failure) {
      if (failure.is_conflict()) return false;
      throw;
    }
  }

  // Writes the receipt, comments, and closes older pull requests. Failed requests become notes: the new one is open.
  void finish(RepoConversion& conversion, const std::string& author, const std::vector<hub::RepoFile>& converted,
      uint64_t expected_number, const std::string& receipt_text) {
    RepoReport& report = conversion.report();
    if (!report.pull_request) return;
    if (options_.convert.receipt)
      os::write_atomically(*options_.convert.receipt, receipt_text,
          options_.convert.force ? os::IfExists::replace : os::IfExists::refuse);
    const uint64_t number = *report.pull_request;
    auto try_or_note = [&](const auto& action) {
      try {
        action();
      } catch (const Error& error) {
        if (error.code() == Code::cancelled) throw;
        report.notes.push_back(error.what());
      }
    };
    if (number != expected_number)
      try_or_note([&] {
        hub::comment(client_, repo_, number,
            fmt::format(
                "This pull request is `refs/pr/{0}`. Check it with `depickle check {1} {0}`.", number, repo_.name()));
      });
    for (uint64_t stale : conversion.stale())
      try_or_note([&] {
        hub::change_status(client_, repo_, stale, hub::DiscussionStatus::closed,
            fmt::format("Superseded by #{}, whose weights are identical to those of the newest commit.", number));
        report.superseded.push_back(stale);
      });
    // Another machine may have opened one between the last check and the commit: the older one stays open.
    try_or_note([&] {
      if (!conversion.find_earlier_request(author, converted, number)) return;
      hub::change_status(client_, repo_, number, hub::DiscussionStatus::closed,
          fmt::format("#{} contains the same files and was opened first.", *report.pull_request));
    });
  }

  const hub::Client& client_;
  const hub::RepoId& repo_;
  const ConvertOptions& options_;
  const hub::Cache cache_;
};

}  // namespace

std::string_view name(Outcome outcome) noexcept {
  constexpr std::array<std::string_view, 6> kNames = {
      "nothing-to-do", "already-open", "planned", "failed", "written", "opened"};
  return kNames[static_cast<size_t>(outcome)];
}

RepoReport plan_repo(
    const hub::Client& client, const hub::RepoId& repo, const ConvertOptions& options, bool pull_request) {
  RepoConversion conversion(client, repo, options);
  if (conversion.nothing_to_do()) return std::move(conversion.report());
  if (pull_request) conversion.choose_branch();
  if (pull_request && conversion.find_open_request(client.settings().token.empty() ? "" : client.whoami().name, {}))
    return std::move(conversion.report());
  conversion.preview();
  if (pull_request) conversion.describe(next_number(client, repo), nullptr, "");
  return std::move(conversion.report());
}

RepoReport convert_repo(
    const hub::Client& client, const hub::RepoId& repo, const fs::path& target, const ConvertOptions& options) {
  RepoConversion conversion(client, repo, options);
  if (conversion.nothing_to_do()) return std::move(conversion.report());
  const hub::Cache cache(client.settings().cache);
  const os::FileLock lock = lock_repo(client, cache, repo);
  const WorkFolder work(cache.repo_folder(repo) / ".depickle" / conversion.commit());
  conversion.report().outcome = Outcome::written;
  conversion.convert(work.path(), target, options.convert);
  return std::move(conversion.report());
}

RepoReport open_pull_request(const hub::Client& client, const hub::RepoId& repo, const ConvertOptions& options) {
  return PullRequestOpener(client, repo, options).run();
}

}  // namespace depickle::repo
