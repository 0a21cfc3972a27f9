#include "server/hub/repos/import.h"

#include <algorithm>
#include <fstream>
#include <vector>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"

namespace depickle::server::repos {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> sorted_folders(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.is_directory() && !entry.path().filename().string().starts_with('.')) folders.push_back(entry.path());
  }
  if (error) throw system_error(error.value(), "cannot read the folder", folder.string());
  std::sort(folders.begin(), folders.end());
  return folders;
}

// Returns the paths of regular files and of links to them, relative to `folder`.
std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (auto at = fs::recursive_directory_iterator(folder); at != fs::recursive_directory_iterator(); ++at) {
    if (at->is_directory() && at->path().filename().string().starts_with('.')) {
      at.disable_recursion_pending();
    } else if (at->is_regular_file()) {
      files.push_back(at->path().lexically_relative(folder));
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

template <typename Take>
uint64_t read_pieces(const fs::path& path, Take take) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw system_error(errno, "cannot open", path.string());
  std::vector<char> buffer(1 << 20);
  uint64_t total = 0;
  while (in.read(buffer.data(), std::ssize(buffer)) || in.gcount() > 0) {
    take(std::as_bytes(std::span(buffer.data(), static_cast<size_t>(in.gcount()))));
    total += static_cast<uint64_t>(in.gcount());
  }
  if (in.bad()) throw Error(Code::io, "", "cannot read", Where::in(path.string()));
  return total;
}

constexpr std::string_view kPullRequestFile = "PULL_REQUEST.md";

// Returns the folder's files as one commit without a title. Adds to the counts of `imported`.
CommitRequest commit_of(Store& store, const fs::path& folder, const Caller& by, Imported& imported) {
  CommitRequest request;
  content::Spool spool = store.spool();
  for (const fs::path& file : files_in(folder)) {
    std::string path = file.generic_string();
    if (path == kPullRequestFile) continue;
    if (fs::file_size(folder / file) > store.limits().regular_file_bytes) {
      content::LfsUpload upload = store.lfs().upload(by.user.name, {}, std::nullopt);
      imported.bytes += read_pieces(folder / file, [&](Bytes piece) { upload.append(piece); });
      upload.finish();
      request.operations.push_back(AddLfsFile{path, upload.oid(), upload.size_bytes()});
    } else {
      content::Spool content = spool.following();
      imported.bytes += read_pieces(folder / file, [&](Bytes piece) { content.append(piece); });
      request.operations.push_back(AddFile{path, std::move(content)});
    }
    ++imported.files;
  }
  return request;
}

// Sets title and description from PULL_REQUEST.md; without that file, the title is the folder's name.
void set_texts(CommitRequest& request, const fs::path& folder) {
  std::ifstream in(folder / kPullRequestFile);
  if (!std::getline(in, request.title)) request.title = folder.filename().string();
  for (std::string line; std::getline(in, line);) {
    if (!request.message.empty() || !line.empty()) request.message += line + "\n";
  }
}

Imported fill_repo(Store& store, const RepoInfo& info, const fs::path& folder, const Caller& by) {
  Imported imported{info.id};
  CommitRequest files = commit_of(store, folder, by, imported);
  files.title = "Import";
  Repo repo = store.repo(info);
  if (!files.operations.empty()) Committer(repo).commit("main", std::move(files), by);
  std::string prefix = folder.filename().string() + "@";
  for (const fs::path& pull_request_folder : sorted_folders(folder.parent_path())) {
    if (!pull_request_folder.filename().string().starts_with(prefix)) continue;
    CommitRequest change = commit_of(store, pull_request_folder, by, imported);
    set_texts(change, pull_request_folder);
    Committer(repo).commit_as_pull_request("main", std::move(change), by);
    ++imported.pull_requests;
  }
  return imported;
}

}  // namespace

void import_folder(Store& store, const fs::path& folder, const std::function<void(const Imported&)>& report) {
  for (const fs::path& owner : sorted_folders(folder)) {
    for (const fs::path& repo_folder : sorted_folders(owner)) {
      if (repo_folder.filename().string().find('@') != std::string::npos) continue;  // a pull request
      RepoId id = RepoId::parse(RepoType::model, owner.filename().string() + "/" + repo_folder.filename().string());
      // The author is the owner's name, which need not be a user's.
      Caller by{{{}, id.owner, 0}, true, 0};
      if (std::optional<RepoInfo> info = store.repos().find(id); info && info->id == id) {
        report({id, true});
        continue;
      }
      RepoInfo info = store.repos().prepare(id, {}, id.owner);
      try {
        Imported imported = fill_repo(store, info, repo_folder, by);
        store.repos().publish(info);
        report(imported);
      } catch (const Error& error) {
        store.repos().abandon(info);
        throw error.in(repo_folder.string());
      }
    }
  }
}

}  // namespace depickle::server::repos
