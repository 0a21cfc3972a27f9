#include "depickle/hub/cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <span>

#include <fmt/format.h>

#include "depickle/base/json.h"
#include "depickle/base/json_value.h"
#include "depickle/hub/content_hash.h"
#include "depickle/os/atomic_file.h"
#include "depickle/os/file_descriptor.h"

namespace depickle::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCacheTag =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This file is a cache directory tag created by huggingface_hub.\n"
    "# For information about cache directory tags, see:\n"
    "#\thttps://bford.info/cachedir/\n";
constexpr uint64_t kMaxListBytes = 64 << 20;

void create_folders(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed)
    throw Error(Code::io, "", "cannot create the folder: " + failed.message(), Where::in(folder))
        .with_errno(failed.value());
}

// A name in the folder of `target` that no other thread and no other process uses.
fs::path temporary_name(const fs::path& target) {
  static std::atomic<uint32_t> count = 0;
  return target.parent_path() / fmt::format("{}.{:x}-{:x}.tmp", target.filename().string(), ::getpid(), ++count);
}

// Readers see the old or the new content. The last of several writers wins.
void replace_file(const fs::path& target, std::string_view content) {
  os::AtomicFile file(target, 0, os::IfExists::replace, os::Writers::many);
  file.write(0, bytes(content), os::Durable::no);
  file.commit(os::Durable::no);
}

std::optional<std::string> read_file(const fs::path& path, uint64_t max_bytes) {
  const os::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat status;
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  if (static_cast<uint64_t>(status.st_size) > max_bytes) return {};
  std::string content(static_cast<size_t>(status.st_size), '\0');
  content.resize(os::read_all(file.get(), std::as_writable_bytes(std::span(content)), path));
  return content;
}

bool is_file(const fs::path& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

// The target of the link snapshots/COMMIT/a/b: "../../../blobs/ETAG".
fs::path link_target(std::string_view path, std::string_view etag) {
  std::string up = "../../";
  for (char c : path) up += c == '/' ? "../" : "";
  return fmt::format("{}blobs/{}", up, etag);
}

void copy_blob(const fs::path& from, const fs::path& to) {
  const fs::path temporary = temporary_name(to);
  std::error_code failed;
  fs::copy_file(from, temporary, failed);
  if (!failed) fs::rename(temporary, to, failed);
  if (!failed) return;
  ::unlink(temporary.c_str());
  throw system_error(failed.value(), "cannot write", to);
}

}  // namespace

fs::path Cache::snapshot_folder(const RepoId& repo, std::string_view commit) const {
  return repo_folder(repo) / "snapshots" / commit;
}
fs::path Cache::blob_path(const RepoId& repo, std::string_view etag) const {
  return repo_folder(repo) / "blobs" / etag;
}
fs::path Cache::lock_path(const RepoId& repo, std::string_view etag) const {
  return folder_ / ".locks" / repo.folder_name() / fmt::format("{}.lock", etag);
}

std::optional<std::string> Cache::find_commit(const RepoId& repo, std::string_view revision) const {
  if (is_commit_id(revision)) return std::string(revision);
  std::optional<std::string> commit = read_file(repo_folder(repo) / "refs" / revision, 64);
  if (!commit || !is_commit_id(*commit)) return {};
  return commit;
}

std::optional<fs::path> Cache::find(const RepoId& repo, std::string_view revision, std::string_view path) const {
  const std::optional<std::string> commit = find_commit(repo, revision);
  if (!commit) return {};
  fs::path place = snapshot_folder(repo, *commit) / path;
  if (!is_file(place)) return {};
  return place;
}

bool Cache::is_known_absent(const RepoId& repo, std::string_view commit, std::string_view path) const {
  return is_file(repo_folder(repo) / ".no_exist" / commit / path);
}

std::optional<fs::path> Cache::find_blob(const RepoId& repo, const RepoFile& file) const {
  fs::path place = blob_path(repo, file.etag());
  std::error_code missing;
  if (!is_file(place) || fs::file_size(place, missing) != file.size_bytes) return {};
  return place;
}

std::optional<std::vector<RepoFile>> Cache::find_files(const RepoId& repo, std::string_view commit) const {
  const fs::path place = repo_folder(repo) / "trees" / fmt::format("{}.json", commit);
  const std::optional<std::string> json = read_file(place, kMaxListBytes);
  if (!json) return {};
  try {
    const JsonValue list = JsonValue::parse(*json);
    if (list["format_version"].number() != 1 || !list["files"].is_object()) return {};
    std::vector<RepoFile> files;
    for (const auto& [path, value] : list["files"].members()) {
      check_repo_path(path);
      RepoFile file{std::string(path), value["size"].number().value_or(0), value["blob_id"].string(),
          value["lfs_sha256"].string()};
      if (!is_content_hash(file.etag())) return {};
      files.push_back(std::move(file));
    }
    return files;
  } catch (const Error&) {
    return {};  // not a list that this program or huggingface_hub has written
  }
}

void Cache::prepare(const RepoId& repo) const {
  if (folder_.empty())
    throw Error(Code::io, "", "the folder for downloads is not configured", {}, "set HF_HUB_CACHE, or HOME");
  create_folders(repo_folder(repo) / "blobs");
  create_folders(folder_ / ".locks" / repo.folder_name());
  if (!is_file(folder_ / "CACHEDIR.TAG")) replace_file(folder_ / "CACHEDIR.TAG", kCacheTag);
}

void Cache::write_ref(const RepoId& repo, std::string_view revision, std::string_view commit) const {
  if (revision == commit || is_commit_id(revision)) return;
  const fs::path ref = repo_folder(repo) / "refs" / revision;
  if (read_file(ref, 64) == commit) return;
  prepare(repo);
  create_folders(snapshot_folder(repo, commit));
  create_folders(ref.parent_path());
  replace_file(ref, commit);
}

void Cache::write_known_absent(const RepoId& repo, std::string_view commit, std::string_view path) const {
  prepare(repo);
  create_folders(repo_folder(repo) / "snapshots");
  const fs::path place = repo_folder(repo) / ".no_exist" / commit / path;
  create_folders(place.parent_path());
  if (!is_file(place)) replace_file(place, {});
}

void Cache::write_files(const RepoId& repo, std::string_view commit, const std::vector<RepoFile>& files) const {
  prepare(repo);
  create_folders(snapshot_folder(repo, commit));
  std::vector<const RepoFile*> sorted;
  for (const RepoFile& file : files) sorted.push_back(&file);
  std::ranges::sort(sorted, {}, [](const RepoFile* file) -> const std::string& { return file->path; });
  std::string out;
  JsonWriter json(out);
  json.object().key("format_version").value(uint64_t{1}).key("files").object();
  for (const RepoFile* file : sorted) {
    json.key(file->path).object().key("size").value(file->size_bytes).key("blob_id").value(file->blob_id);
    if (!file->sha256.empty()) json.key("lfs_sha256").value(file->sha256).key("lfs_size").value(file->size_bytes);
    json.end();
  }
  json.end().end();
  const fs::path place = repo_folder(repo) / "trees" / fmt::format("{}.json", commit);
  create_folders(place.parent_path());
  replace_file(place, out);
}

fs::path Cache::link(const RepoId& repo, std::string_view commit, std::string_view path, std::string_view etag) const {
  const fs::path place = snapshot_folder(repo, commit) / path, target = link_target(path, etag);
  std::error_code failed;
  if (fs::read_symlink(place, failed) == target) return place;
  create_folders(place.parent_path());
  const fs::path temporary = temporary_name(place);
  if (::symlink(target.c_str(), temporary.c_str()) != 0) {
    copy_blob(blob_path(repo, etag), place);  // a file system without symbolic links
  } else if (::rename(temporary.c_str(), place.c_str()) != 0) {
    const int error_number = errno;
    ::unlink(temporary.c_str());
    throw system_error(error_number, "cannot write", place);
  }
  return place;
}

}  // namespace depickle::hub
