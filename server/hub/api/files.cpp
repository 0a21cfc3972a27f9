// Files of a revision: resolve, raw, tree, paths-info.
#include <fmt/format.h>

#include "server/http/target.h"
#include "server/hub/api/entry_json.h"

namespace depickle::server::api {
namespace {

constexpr uint64_t kPageEntries = 1000, kExpandedPageEntries = 50, kMaxPaths = 1000;

std::string file_name(std::string_view path) { return std::string(path.substr(path.rfind('/') + 1)); }

// Sets the headers of a file. The type is never one that a browser runs: the content is not trusted.
void set_file_headers(http::Response& answer, const git::Entry& entry) {
  std::string name = http::percent_encoded(file_name(entry.path), false);
  answer.with("ETag", "\"" + entry.etag() + "\"")
      .with("Content-Type", entry.lfs ? "application/octet-stream" : "text/plain; charset=utf-8")
      .with("Content-Disposition", fmt::format("inline; filename*=UTF-8''{0}; filename=\"{0}\";", name))
      .with("X-Content-Type-Options", "nosniff")
      .with("Content-Security-Policy", "default-src 'none'; sandbox");
  if (entry.lfs)
    answer.with("X-Linked-Size", std::to_string(entry.lfs->size_bytes))
        .with("X-Linked-Etag", "\"" + entry.lfs->oid + "\"");
}

http::Body body_of(repos::FileContent content) {
  if (!content.file) return std::move(content.bytes);
  return http::FileRange{http::OpenFile::open(content.file->string()), 0, content.size_bytes};
}

// Responds with the file of the path, as `body` makes it. Every response names the commit, also a 404: clients cache
// that the file does not exist.
template <typename Body>
http::Response file_of(const Call& call, Body body) {
  repos::Repo repo = call.hub.store.repo(call.repo_for(Need::read));
  std::string commit = repo.commit_at(call.request.captured("rev"));
  http::Response answer;
  try {
    git::Entry entry = repo.entry_at(commit, call.request.captured("path"));
    if (!entry.is_file()) refuse(404, "EntryNotFound", "Entry not found: this is a folder");
    answer = body(repo, entry);
  } catch (const std::exception& problem) {
    auto* abort = dynamic_cast<const http::Abort*>(&problem);
    answer = abort ? abort->response() : explain(call.request, problem);
    if (answer.status >= 500) throw;  // the server logs it
  }
  answer.with("X-Repo-Commit", commit);
  return answer;
}

http::Response resolve(const Call& call) {
  return file_of(call, [&](const repos::Repo& repo, const git::Entry& entry) {
    http::Response answer;
    set_file_headers(answer, entry);
    answer.body = body_of(repo.content(entry, call.caller_or_null()));
    return http::ranged(call.request, std::move(answer));
  });
}

http::Response raw(const Call& call) {
  return file_of(call, [&](const repos::Repo& repo, const git::Entry& entry) {
    http::Response answer;
    answer.with("ETag", "\"" + entry.oid + "\"")
        .with("Content-Type", "text/plain; charset=utf-8")
        .with("X-Content-Type-Options", "nosniff");
    answer.body = repo.blob(entry);
    return http::ranged(call.request, std::move(answer));
  });
}

uint64_t number_or(const std::optional<std::string>& text, uint64_t fallback, uint64_t max) {
  uint64_t value = text ? std::strtoull(text->c_str(), nullptr, 10) : fallback;
  return value == 0 ? fallback : std::min(value, max);
}

http::Response tree(const Call& call) {
  repos::RepoInfo info = call.repo_for(Need::read);
  repos::Repo repo = call.hub.store.repo(info);
  std::string commit = repo.commit_at(call.request.captured("rev"));
  bool expand = query_flag(call.request, "expand"), recursive = query_flag(call.request, "recursive");
  uint64_t max_entries = expand ? kExpandedPageEntries : kPageEntries;
  git::TreeQuery query{.path = call.request.captured("path"),
      .recursive = recursive,
      .limit = number_or(call.request.query("limit"), max_entries, max_entries),
      .cursor = call.request.query("cursor").value_or("")};
  git::TreePage page = repo.list(commit, query);
  http::Response answer =
      json_response([&](JsonWriter& json) { write_entries(json, repo, commit, page.entries, expand); });
  answer.with("X-Repo-Commit", commit);
  if (!page.next.empty())
    answer.with("Link",
        fmt::format("<{}/tree/{}{}{}?recursive={}&expand={}&limit={}&cursor={}>; rel=\"next\"", call.api_url(info.id),
            commit, query.path.empty() ? "" : "/", http::percent_encoded(query.path, false), recursive, expand,
            query.limit, http::percent_encoded(page.next, false)));
  return answer;
}

http::Response paths_info(const Call& call) {
  repos::Repo repo = call.hub.store.repo(call.repo_for(Need::read));
  std::string commit = repo.commit_at(call.request.captured("rev"));
  std::vector<std::string> paths;
  bool expand = false;
  if (call.request.field("Content-Type").starts_with("application/json")) {
    JsonValue body = call.body();
    for (const JsonValue& path : body["paths"].items())
      if (auto text = path.text()) paths.push_back(*std::move(text));
    expand = body["expand"].is_true();
  } else {
    for (auto& [name, value] : http::form_pairs(call.request.body)) {
      if (name == "paths") paths.push_back(value);
      if (name == "expand") expand = is_true(value);
    }
  }
  if (paths.size() > kMaxPaths) refuse(413, "TooLarge", "too many paths (at most 1000)");
  std::vector<git::Entry> entries;
  for (const std::string& path : paths)
    if (auto entry = repo.find_entry(commit, path)) entries.push_back(std::move(*entry));
  return json_response([&](JsonWriter& json) { write_entries(json, repo, commit, entries, expand); });
}

}  // namespace

void add_file_routes(http::Router& router, Hub& hub) {
  add_web_route(router, "GET", "/resolve/{rev:rev}/{path:path}", endpoint(hub, resolve), http::Work::slow);
  add_web_route(router, "GET", "/raw/{rev:rev}/{path:path}", endpoint(hub, raw), http::Work::slow);
  const std::string repo = "/api/{type}/{ns}/{name}";
  router.add("GET", repo + "/resolve/{rev:rev}/{path:path}", endpoint(hub, resolve), http::Work::slow);
  router.add("GET", repo + "/tree/{rev:rev}/{path:path}", endpoint(hub, tree), http::Work::slow);
  router.add("GET", repo + "/tree/{rev:rev}", endpoint(hub, tree), http::Work::slow);
  router.add_with_body("POST", repo + "/paths-info/{rev:rev}",
      body_endpoint(hub, needs(Need::read), paths_info, 8 << 20), http::Work::slow);
}

}  // namespace depickle::server::api
