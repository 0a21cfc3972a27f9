// Writes files and folders of a repository as JSON.
#pragma once

#include "server/hub/api/call.h"

namespace depickle::server::api {

/// Writes one element of tree and paths-info. `last` is its last commit, if the client asked to expand. Writes no xet
/// fields: a client that reads one stops to use plain HTTP.
void write_entry(JsonWriter& json, const git::Entry& entry, const git::Commit* last);
/// Writes an array of entries, with their last commits if `expand`.
void write_entries(JsonWriter& json, const repos::Repo& repo, const std::string& commit,
    const std::vector<git::Entry>& entries, bool expand);

}  // namespace depickle::server::api
