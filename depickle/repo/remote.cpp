#include "depickle/repo/remote.h"

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/hub/cache.h"
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

Weights open_weights(const hub::Client& client, const hub::RepoId& repo, const std::string& commit,
    const std::string& path, const weights::OpenOptions& options) {
  if (!detect::is_index_name(path)) return weights::open(open_source(client, repo, commit, path), options);
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  auto open_shard = [&](const std::string& shard) { return open_source(client, repo, commit, folder + shard); };
  return weights::open_sharded(read_index(client, repo, commit, path), path, open_shard, options);
}

}  // namespace depickle::repo
