#include "depickle/hub/download.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include <fmt/format.h>

#include "depickle/base/parallel.h"
#include "depickle/base/text.h"
#include "depickle/hub/content_hash.h"
#include "depickle/hub/fetch.h"
#include "depickle/hub/ranged_file.h"

namespace depickle::hub {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLargeBytes = 64 << 20;  // files of this size are downloaded one at a time, with all connections

std::string_view revision_or_main(std::string_view revision) { return revision.empty() ? "main" : revision; }

// For a request whose answer is also in the cache.
Client without_retries(const Client& client) {
  Settings settings = client.settings();
  settings.retry_policy.max_retries = 0;
  return Client(std::move(settings));
}

void check_space(const Cache& cache, const RepoId& repo, const std::vector<const RepoFile*>& missing) {
  uint64_t need_bytes = 0;
  for (const RepoFile* file : missing) {
    if (__builtin_add_overflow(need_bytes, file->size_bytes, &need_bytes)) need_bytes = UINT64_MAX;
  }
  struct statvfs disk;
  if (::statvfs(cache.repo_folder(repo).c_str(), &disk) != 0) return;
  const uint64_t have_bytes = disk.f_bavail * static_cast<uint64_t>(disk.f_frsize);
  if (need_bytes <= have_bytes) return;
  throw Error(Code::io, "",
      fmt::format("not enough space on the disk (have {} bytes, need {})", grouped(have_bytes), grouped(need_bytes)),
      Where::in(cache.folder()), "free some space, or set HF_HUB_CACHE to a folder on another disk");
}

// Serializes the progress reports of several threads.
class ProgressReporter {
 public:
  explicit ProgressReporter(const Progress& progress) : progress_(progress) {}
  void report(const RepoFile& file, uint64_t done_bytes) {
    if (!progress_) return;
    std::scoped_lock lock(mutex_);
    progress_({"download", file.path, done_bytes, file.size_bytes});
  }

 private:
  const Progress& progress_;
  std::mutex mutex_;
};

void check_file(const RepoFile& file) {
  check_repo_path(file.path);
  if (!is_content_hash(file.etag()))
    throw Error(Code::malformed, "", fmt::format("the hash of {} is missing", quoted(file.path)));
}

}  // namespace

FileMetadata file_metadata(const Client& client, const RepoId& repo, std::string_view revision, std::string_view path) {
  revision = revision_or_main(revision);
  check_revision(revision);
  check_repo_path(path);
  const std::string about = hf_address(repo, revision, path);
  Response response;
  try {
    response = client.http().send(
        {.method = "HEAD", .url = resolve_url(client, repo, revision, path), .about = about, .stays_at_hub = true});
  } catch (const Failure& failure) {
    const bool is_known = failure.is_missing_file() && is_commit_id(failure.commit());
    if (is_known && !client.settings().cache.empty()) {
      const Cache cache(client.settings().cache);
      cache.write_known_absent(repo, failure.commit(), path);
      cache.write_ref(repo, revision, failure.commit());
    }
    throw;
  }
  return file_metadata_of(parse_file_headers(response), path, about);
}

Snapshot download_files(const Client& client, const RepoId& repo, std::string_view commit,
    const std::vector<RepoFile>& files, const Progress& progress, std::string_view revision) {
  const Cache cache(client.settings().cache);
  if (!is_commit_id(commit)) throw Error(Code::malformed, "", fmt::format("{} is not a commit id", quoted(commit, 80)));
  std::vector<const RepoFile*> missing;
  for (const RepoFile& file : files) {
    check_file(file);
    const std::optional<fs::path> place = cache.find(repo, commit, file.path);
    std::error_code failed;
    if (!place || fs::file_size(*place, failed) != file.size_bytes) missing.push_back(&file);
  }
  Snapshot snapshot{cache.snapshot_folder(repo, commit), std::string(commit), 0};
  if (!missing.empty()) {
    cache.prepare(repo);
    check_space(cache, repo, missing);
  }
  std::atomic<uint64_t> downloaded_bytes = 0;
  ProgressReporter reporter(progress);
  auto download = [&](const RepoFile& file) {
    if (!cache.find_blob(repo, file))
      downloaded_bytes += fetch_blob(client, cache, repo, file, resolve_url(client, repo, commit, file.path),
          hf_address(repo, commit, file.path), [&](uint64_t done_bytes) { reporter.report(file, done_bytes); });
    cache.link(repo, commit, file.path, file.etag());
  };
  auto tail = std::ranges::partition(missing, [](const RepoFile* file) { return file->size_bytes < kLargeBytes; });
  const std::vector<const RepoFile*> large(tail.begin(), tail.end());
  missing.erase(tail.begin(), tail.end());
  parallel_for(missing.size(), std::max(client.settings().connections, 1u), [&](uint64_t i) { download(*missing[i]); });
  for (const RepoFile* file : large) download(*file);
  if (!revision.empty()) cache.write_ref(repo, revision, commit);
  snapshot.downloaded_bytes = downloaded_bytes;
  return snapshot;
}

fs::path download_file(const Client& client, const RepoId& repo, std::string_view revision, std::string_view path,
    const Progress& progress) {
  revision = revision_or_main(revision);
  check_revision(revision);
  check_repo_path(path);
  const Cache cache(client.settings().cache);
  const std::optional<fs::path> cached = cache.find(repo, revision, path);
  if (cached && (is_commit_id(revision) || client.settings().offline)) return *cached;
  std::optional<FileMetadata> metadata;
  try {
    metadata = file_metadata(cached ? without_retries(client) : client, repo, revision, path);
  } catch (const Error& error) {
    if (cached && error.code() == Code::network) return *cached;
    throw;
  }
  return download_files(client, repo, metadata->commit, {metadata->file}, progress, revision).folder / path;
}

std::string resolve_commit(const Client& client, const RepoId& repo, std::string_view revision) {
  if (is_commit_id(revision)) return std::string(revision);
  check_revision(revision_or_main(revision));
  const std::optional<std::string> cached =
      Cache(client.settings().cache).find_commit(repo, revision_or_main(revision));
  try {
    return (cached ? without_retries(client) : client).info(repo, revision).commit;
  } catch (const Error& error) {
    if (cached && error.code() == Code::network) return *cached;
    throw;
  }
}

std::vector<RepoFile> list_commit(const Client& client, const RepoId& repo, std::string_view commit) {
  const Cache cache(client.settings().cache);
  if (std::optional<std::vector<RepoFile>> files = cache.find_files(repo, commit)) return *files;
  std::vector<RepoFile> files = client.files(repo, commit);
  if (is_commit_id(commit) && !cache.folder().empty()) cache.write_files(repo, commit, files);
  return files;
}

}  // namespace depickle::hub
