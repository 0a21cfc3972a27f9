#include "server/hub/api/entry_json.h"

namespace depickle::server::api {

void write_entry(JsonWriter& json, const git::Entry& entry, const git::Commit* last) {
  json.object().key("type").value(entry.is_file() ? "file" : "directory").key("oid").value(entry.oid);
  json.key("size").value(entry.size_bytes).key("path").value(entry.path);
  if (entry.lfs)
    json.key("lfs")
        .object()
        .key("oid")
        .value(entry.lfs->oid)
        .key("size")
        .value(entry.lfs->size_bytes)
        .key("pointerSize")
        .value(entry.pointer_bytes)
        .end();
  if (last) {
    json.key("lastCommit")
        .object()
        .key("id")
        .value(last->id)
        .key("title")
        .value(last->title)
        .key("date")
        .value(iso_date(last->date))
        .end();
    if (entry.is_file()) json.key("securityFileStatus").null();
  }
  json.end();
}

void write_entries(JsonWriter& json, const repos::Repo& repo, const std::string& commit,
    const std::vector<git::Entry>& entries, bool expand) {
  std::vector<git::Commit> last;
  if (expand && !entries.empty()) {
    std::vector<std::string> paths;
    paths.reserve(entries.size());
    for (const git::Entry& entry : entries) paths.push_back(entry.path);
    last = repo.last_commits(commit, paths);
  }
  json.array();
  for (size_t i = 0; i < entries.size(); ++i) write_entry(json, entries[i], i < last.size() ? &last[i] : nullptr);
  json.end();
}

}  // namespace depickle::server::api
