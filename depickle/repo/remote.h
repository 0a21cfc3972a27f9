// A file of a repository, wherever its bytes are: in the cache, or on the Hub.
#pragma once

#include <memory>
#include <string>

#include "depickle/base/source.h"
#include "depickle/formats/safetensors/index.h"
#include "depickle/hub/client.h"
#include "depickle/weights/weights.h"

namespace depickle::repo {

/// Mapped where the cache has it, read by ranges where not. Nothing is stored. Throws as hub::RemoteSource does.
std::shared_ptr<const ByteSource> open_source(
    const hub::Client& client, const hub::RepoId& repo, const std::string& commit, const std::string& path);

/// The whole of a small text (an index, a config). Throws Error{limit} beyond 100 MB.
std::string read_text(
    const hub::Client& client, const hub::RepoId& repo, const std::string& commit, const std::string& path);
/// Throws Error{malformed} naming the file.
safetensors::Index read_index(
    const hub::Client& client, const hub::RepoId& repo, const std::string& commit, const std::string& path);

/// A weights file, or the shards of an index, opened as one table without being downloaded.
Weights open_weights(const hub::Client& client, const hub::RepoId& repo, const std::string& commit,
    const std::string& path, const weights::OpenOptions& options = {});

}  // namespace depickle::repo
