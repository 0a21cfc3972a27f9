// Files of a revision: resolve, raw, tree, paths-info.
#include <fmt/format.h>

#include "server/http/target.h"
#include "server/hub/api/entry_json.h"

namespace depickle::server::api {
namespace {

constexpr uint64_t kPage = 1000, kExpandedPage = 50, kMaxPaths = 1000;

std::string file_name(std::string_view path) { return std::string(path.substr(path.rfind('/') + 1)); }

/// Never a type that a browser would run: the content is anybody's.
void describe(http::Response& answer, const Entry& entry) {
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

http::Body body_of(FileContent content) {
  if (!content.file) return std::move(content.bytes);
  return http::FileRange{http::OpenFile::open(content.file->string()), 0, content.size_bytes};
}

/// What is at the path, as `body` gives it. Every answer names the commit, 404 too: the client then remembers that there is no such file.
template <typename Body>
http::Response file_of(const Call& call, Body body) {
  Repo repo = call.hub.store.repo(call.repo_for(Need::read));
  std::string commit = repo.commit_at(call.request.captured("rev"));
  http::Response answer;
  try {
    Entry entry = repo.entry_at(commit, call.request.captured("path"));
    if (!entry.is_file()) refuse(404, "EntryNotFound", "Entry not found: this is a folder");
    answer = body(repo, entry);
  } catch (const std::exception& problem) {
    auto* refusal = dynamic_cast<const http::Abort*>(&problem);
    answer = refusal ? refusal->response() : explain(call.request, problem);
  }
  answer.with("X-Repo-Commit", commit);
  return answer;
}

http::Response resolve(const Call& call) {
  return file_of(call, [&](const Repo& repo, const Entry& entry) {
    http::Response answer;
    describe(answer, entry);
    answer.body = body_of(repo.content(entry, call.who()));
    return http::ranged(call.request, std::move(answer));
  });
}

http::Response raw(const Call& call) {
  return file_of(call, [&](const Repo& repo, const Entry& entry) {
    http::Response answer;
    answer.with("ETag", "\"" + entry.oid + "\"")
        .with("Content-Type", "text/plain; charset=utf-8")
        .with("X-Content-Type-Options", "nosniff");
    answer.body = repo.blob(entry);
    return http::ranged(call.request, std::move(answer));
  });
}

uint64_t number_or(const std::optional<std::string>& text, uint64_t fallback, uint64_t most) {
  uint64_t value = text ? std::strtoull(text->c_str(), nullptr, 10) : fallback;
  return value == 0 ? fallback : std::min(value, most);
}

http::Response tree(const Call& call) {
  RepoInfo info = call.repo_for(Need::read);
  Repo repo = call.hub.store.repo(info);
  std::string commit = repo.commit_at(call.request.captured("rev"));
  bool expand = asks_for(call.request, "expand"), recursive = asks_for(call.request, "recursive");
  uint64_t most = expand ? kExpandedPage : kPage;
  TreeQuery query{.path = call.request.captured("path"),
      .recursive = recursive,
      .limit = number_or(call.request.query("limit"), most, most),
      .cursor = call.request.query("cursor").value_or("")};
  TreePage page = repo.list(commit, query);
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
  Repo repo = call.hub.store.repo(call.repo_for(Need::read));
  std::string commit = repo.commit_at(call.request.captured("rev"));
  std::vector<std::string> paths;
  bool expand = false;
  if (call.request.field("Content-Type").starts_with("application/json")) {
    JsonValue body = call.body();
    for (const JsonValue& path : body.array("paths"))
      if (path.as_text()) paths.push_back(*path.as_text());
    expand = body.boolean("expand").value_or(false);
  } else {
    for (auto& [name, value] : http::form_pairs(call.request.body)) {
      if (name == "paths") paths.push_back(value);
      if (name == "expand") expand = means_yes(value);
    }
  }
  if (paths.size() > kMaxPaths) refuse(413, "TooLarge", "at most 1000 paths at once");
  std::vector<Entry> entries;
  for (const std::string& path : paths)
    if (auto entry = repo.find_entry(commit, path)) entries.push_back(std::move(*entry));
  return json_response([&](JsonWriter& json) { write_entries(json, repo, commit, entries, expand); });
}

}  // namespace

void add_file_routes(http::Router& router, Hub& hub) {
  add_web_route(router, "GET", "/resolve/{rev:rev}/{path:path}", endpoint(hub, resolve));
  add_web_route(router, "GET", "/raw/{rev:rev}/{path:path}", endpoint(hub, raw));
  const std::string repo = "/api/{type}/{ns}/{name}";
  router.add("GET", repo + "/resolve/{rev:rev}/{path:path}", endpoint(hub, resolve));
  router.add("GET", repo + "/tree/{rev:rev}/{path:path}", endpoint(hub, tree));
  router.add("GET", repo + "/tree/{rev:rev}", endpoint(hub, tree));
  router.add("POST", repo + "/paths-info/{rev:rev}", endpoint(hub, paths_info), 8 << 20);
}

}  // namespace depickle::server::api
