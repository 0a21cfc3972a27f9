#include "depickle/repo/remote.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/hub/cache.h"
#include "depickle/hub/download.h"
#include "depickle/hub/remote_source.h"
#include "depickle/os/mapped_file.h"

namespace depickle::repo {

std::shared_ptr<const ByteSource> open_source(
    const hub::Client& client, const hub::RepoId& repo, const std::string& commit, const std::string& path) {
  hub::check_repo_path(path);
  if (auto cached = hub::Cache(client.settings().cache).find(repo, commit, path)) return os::MappedFile::open(*cached);
  return hub::RemoteSource::open(client, repo, commit, path);
}

std::string read_text(
    const hub::Client& client, const hub::RepoId& repo, const std::string& commit, const std::string& path) {
  constexpr uint64_t kMaxBytes = 100'000'000;
  const auto source = open_source(client, repo, commit, path);
  if (source->size_bytes() > kMaxBytes)
    throw Error(Code::limit, "",
        fmt::format("has {} bytes (at most {})", grouped(source->size_bytes()), grouped(kMaxBytes)), Where::in(path));
  std::string text(source->size_bytes(), '\0');
  source->read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

safetensors::Index read_index(
    const hub::Client& client, const hub::RepoId& repo, const std::string& commit, const std::string& path) {
  const std::string text = read_text(client, repo, commit, path);
  try {
    return safetensors::Index::parse(text);
  } catch (const Error& error) {
    throw error.in(path);
  }
}

detect::FileKind kind_of(
    const hub::Client& client, const hub::RepoId& repo, const std::string& commit, const std::string& path) {
  const auto source = open_source(client, repo, commit, path);
  std::array<std::byte, detect::kHeadBytes> head;
  const MutableBytes read = MutableBytes(head).first(std::min<uint64_t>(source->size_bytes(), head.size()));
  source->read(0, read);
  return detect::file_kind(read);
}

weights::ShardFiles shards_beside(const std::string& index_path, const std::vector<std::string>& files,
    const std::function<std::shared_ptr<const ByteSource>(const std::string& path)>& open) {
  const std::string folder = index_path.substr(0, index_path.rfind('/') + 1);
  weights::ShardFiles shards;
  for (const std::string& file : files)
    if (file.starts_with(folder) && detect::is_weights_name(file)) shards.names.push_back(file.substr(folder.size()));
  std::ranges::sort(shards.names);
  shards.open = [open, folder, names = shards.names](size_t number) { return open(folder + names.at(number)); };
  return shards;
}

weights::Model find_model(
    const hub::Client& client, const hub::RepoId& repo, const std::string& commit, const std::string& path) {
  const auto open = [client, repo, commit](const std::string& file) { return open_source(client, repo, commit, file); };
  weights::Model model{.entry = open(path)};
  if (!detect::is_index_name(path)) return model;
  std::vector<std::string> files;
  for (const hub::RepoFile& file : hub::list_commit(client, repo, commit)) files.push_back(file.path);
  model.shards = shards_beside(path, files, open);
  return model;
}

}  // namespace depickle::repo
