// One blob from the Hub to the cache.
#pragma once

#include <functional>
#include <string>

#include "depickle/hub/cache.h"
#include "depickle/hub/client.h"

namespace depickle::hub {

/// Fetches what `file` promises from `url` into the cache, unless its blob is there: under the blob's lock, into
/// `blobs/ETAG.depickle.incomplete`, checked, then renamed. What an earlier try left there is kept and hashed again.
/// `on_bytes` hears how much of the file is there, often, in order. Returns the bytes that were transferred.
/// Throws as download_files() does.
uint64_t fetch_blob(const Client& client, const Cache& cache, const RepoId& repo, const RepoFile& file,
    const std::string& url, const std::string& about, const std::function<void(uint64_t)>& on_bytes);

}  // namespace depickle::hub
