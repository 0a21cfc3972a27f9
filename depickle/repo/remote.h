// Opens files of a repository, from the cache or from the Hub.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "depickle/base/source.h"
#include "depickle/formats/detect/file_kind.h"
#include "depickle/formats/safetensors/index.h"
#include "depickle/hub/client.h"
#include "depickle/weights/weights.h"

namespace depickle::repo {

/// Maps the file if it is in the cache, else reads it by range requests. Stores nothing. Throws as hub::RemoteSource.
std::shared_ptr<const ByteSource> open_source(
    const hub::Client& client, const hub::RepoId& repo, const std::string& commit, const std::string& path);

/// Reads a small text file (an index, a config). Throws Error{limit} if it has more than 100 MB.
std::string read_text(
    const hub::Client& client, const hub::RepoId& repo, const std::string& commit, const std::string& path);
/// Reads an index. Throws Error{malformed} with the file's name.
safetensors::Index read_index(
    const hub::Client& client, const hub::RepoId& repo, const std::string& commit, const std::string& path);

/// Returns the kind of a file, from its first bytes.
detect::FileKind kind_of(
    const hub::Client& client, const hub::RepoId& repo, const std::string& commit, const std::string& path);

/// Lists the weights files of a repository in the folder of an index, which the index may name as shards. `files` are
/// all files of the repository; `open` opens one of them by its path.
weights::ShardFiles shards_beside(const std::string& index_path, const std::vector<std::string>& files,
    const std::function<std::shared_ptr<const ByteSource>(const std::string& path)>& open);

/// Returns the model in a weights file or an index. Downloads nothing.
weights::Model find_model(
    const hub::Client& client, const hub::RepoId& repo, const std::string& commit, const std::string& path);

}  // namespace depickle::repo
