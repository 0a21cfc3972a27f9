// How a file or folder of a repository looks in answers.
#pragma once

#include "server/hub/api/call.h"

namespace depickle::server::api {

/// One element of tree and paths-info; `last` where the client asked to expand. No xet fields, ever: a client that sees one stops
/// speaking plain HTTP.
void write_entry(JsonWriter& json, const Entry& entry, const Commit* last);
/// The array of them; looks up the last commits where `expand`.
void write_entries(
    JsonWriter& json, const Repo& repo, const std::string& commit, const std::vector<Entry>& entries, bool expand);

}  // namespace depickle::server::api
