// Opens files of a repository, from the cache or from the Hub.
#pragma once

#include <memory>
#include <string>

#include "depickle/base/source.h"
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

/// Opens a weights file, or all shards of an index, as one table. Downloads nothing.
Weights open_weights(const hub::Client& client, const hub::RepoId& repo, const std::string& commit,
    const std::string& path, const weights::OpenOptions& options = {});

}  // namespace depickle::repo
