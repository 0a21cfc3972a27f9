// Downloads one blob into the cache.
#pragma once

#include <functional>
#include <string>

#include "depickle/hub/cache.h"
#include "depickle/hub/client.h"

namespace depickle::hub {

/// Downloads the content of `file` from `url` into the cache, unless the blob exists: with the lock of the blob, into
/// `blobs/ETAG.depickle.incomplete`, which is renamed when its hash is right. Bytes that an earlier call has left there
/// are hashed and kept. `on_bytes` receives the number of bytes of the file that are complete, often, in order. Returns
/// the number of transferred bytes. Throws as download_files().
uint64_t fetch_blob(const Client& client, const Cache& cache, const RepoId& repo, const RepoFile& file,
    const std::string& url, const std::string& about, const std::function<void(uint64_t)>& on_bytes);

}  // namespace depickle::hub
