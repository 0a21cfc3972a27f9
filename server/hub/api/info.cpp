// Repository info at a revision, lists of repositories, commits.
#include <algorithm>

#include <fmt/format.h>

#include "server/http/target.h"
#include "server/hub/api/call.h"
#include "server/hub/api/card.h"

namespace depickle::server::api {
namespace {

void write_gate(JsonWriter& json, repos::Gate gate) {
  json.key("gated");
  if (gate == repos::Gate::open)
    json.value(false);
  else
    json.value(gate == repos::Gate::automatic ? "auto" : "manual");
}

void write_texts(JsonWriter& json, const std::vector<std::string>& texts) {
  json.array();
  for (const std::string& text : texts) json.value(text);
  json.end();
}

// Writes the members that info and lists share. Does not end the object.
void write_basics(JsonWriter& json, const repos::RepoInfo& info) {
  json.object().key("_id").value(info.object_id).key("id").value(info.id.full());
  if (info.id.type == repos::RepoType::model) json.key("modelId").value(info.id.full());
  json.key("author").value(info.id.owner).key("createdAt").value(iso_date(info.created_at));
  json.key("private").value(info.settings.is_private).key("disabled").value(info.settings.is_disabled);
  write_gate(json, info.settings.gate);
  json.key("downloads").value(uint64_t{0}).key("likes").value(uint64_t{0});
}

void write_card(JsonWriter& json, const Card& card) {
  std::vector<std::string> tags = card.tags;
  for (const std::string& tag : {card.library_name, card.pipeline_tag, card.model_type})
    if (!tag.empty() && std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
  if (!card.license.empty()) tags.push_back("license:" + card.license);
  json.key("tags");
  write_texts(json, tags);
  if (!card.library_name.empty()) json.key("library_name").value(card.library_name);
  if (!card.pipeline_tag.empty()) json.key("pipeline_tag").value(card.pipeline_tag);
  if (card.architectures.empty() && card.model_type.empty()) return;
  json.key("config").object().key("architectures");
  write_texts(json, card.architectures);
  if (!card.model_type.empty()) json.key("model_type").value(card.model_type);
  json.end();
}

void write_siblings(JsonWriter& json, const std::vector<git::Entry>& files, bool with_blobs) {
  json.key("siblings").array();
  for (const git::Entry& file : files) {
    json.object().key("rfilename").value(file.path);
    if (with_blobs) json.key("size").value(file.size_bytes).key("blobId").value(file.oid);
    if (with_blobs && file.lfs)
      json.key("lfs")
          .object()
          .key("sha256")
          .value(file.lfs->oid)
          .key("size")
          .value(file.lfs->size_bytes)
          .key("pointerSize")
          .value(file.pointer_bytes)
          .end();
    json.end();
  }
  json.end();
}

http::Response info_at(const Call& call) {
  repos::RepoInfo info = call.repo_for(Need::see);
  repos::Repo repo = call.hub.store.repo(info);
  std::string revision = call.request.captured("rev");
  std::string commit = repo.commit_at(revision.empty() ? "main" : revision);
  bool with_blobs = query_flag(call.request, "blobs");
  bool with_security = query_flag(call.request, "securityStatus");
  return json_response([&](JsonWriter& json) {
    write_basics(json, info);
    json.key("sha").value(commit).key("lastModified").value(iso_date(repo.commit(commit).date));
    json.key("xetEnabled").value(false).key("usedStorage").value(repo.used_bytes());
    write_card(json, card_of(repo, commit));
    if (with_security)
      json.key("securityRepoStatus").object().key("scansDone").value(false).key("filesWithIssues").array().end().end();
    json.key("spaces").array().end();
    write_siblings(json, repo.files(commit), with_blobs);
    json.end();
  });
}

uint64_t number(const Call& call, std::string_view name, uint64_t fallback) {
  auto text = call.request.query(name);
  return text ? std::strtoull(text->c_str(), nullptr, 10) : fallback;
}

http::Response commits(const Call& call) {
  repos::RepoInfo info = call.repo_for(Need::read);
  repos::Repo repo = call.hub.store.repo(info);
  const std::string& revision = call.request.captured("rev");
  std::string head = repo.commit_at(revision);
  uint64_t limit = std::clamp<uint64_t>(number(call, "limit", 50), 1, 1000),
           page = std::min<uint64_t>(number(call, "p", 0), 1 << 20);
  bool formatted = call.request.query("expand[]") == "formatted" || call.request.query("expand") == "formatted";
  git::CommitPage log = repo.log(head, page * limit, limit);
  http::Response answer = json_response([&](JsonWriter& json) {
    json.array();
    for (const git::Commit& commit : log.commits) {
      json.object().key("id").value(commit.id).key("title").value(commit.title).key("message").value(commit.message);
      json.key("authors").array().object().key("user").value(commit.author).key("avatar").value("").end().end();
      json.key("date").value(iso_date(commit.date));
      if (formatted)
        json.key("formatted").object().key("title").value(commit.title).key("message").value(commit.message).end();
      json.end();
    }
    json.end();
  });
  answer.with("X-Total-Count", std::to_string(log.total));
  if ((page + 1) * limit < log.total)
    answer.with(
        "Link", fmt::format("<{}/commits/{}?limit={}&p={}{}>; rel=\"next\"", call.api_url(info.id),
                    http::percent_encoded(revision, false), limit, page + 1, formatted ? "&expand[]=formatted" : ""));
  return answer;
}

http::Response list_repos(const Call& call) {
  auto type = repos::repo_type(call.request.captured("type"));
  if (!type || repos::plural(*type) != call.request.captured("type")) refuse(404, "", "this address does not exist");
  uint64_t limit = std::clamp<uint64_t>(number(call, "limit", 1000), 1, 1000), offset = number(call, "cursor", 0);
  repos::RepoQuery query{.type = *type,
      .search = call.request.query("search").value_or(""),
      .owner = call.request.query("author").value_or(""),
      .newest_first = call.request.query("direction").value_or("-1") != "1",
      .offset = offset,
      .limit = limit};
  std::vector<repos::RepoInfo> found = call.hub.store.repos().list(query, call.caller_or_null());
  http::Response answer = json_response([&](JsonWriter& json) {
    json.array();
    for (const repos::RepoInfo& info : found) {
      write_basics(json, info);
      json.key("lastModified").value(iso_date(info.modified_at)).key("tags").array().end().end();
    }
    json.end();
  });
  if (found.size() == limit)
    answer.with(
        "Link", fmt::format("<{}/api/{}?search={}&author={}&direction={}&limit={}&cursor={}>; rel=\"next\"",
                    call.origin(), repos::plural(*type), http::percent_encoded(query.search, false),
                    http::percent_encoded(query.owner, false), query.newest_first ? "-1" : "1", limit, offset + limit));
  return answer;
}

}  // namespace

void add_info_routes(http::Router& router, Hub& hub) {
  const std::string repo = "/api/{type}/{ns}/{name}";
  router.add("GET", "/api/{type}", endpoint(hub, list_repos), http::Work::slow);
  router.add("GET", repo, endpoint(hub, info_at), http::Work::slow);
  router.add("GET", repo + "/revision/{rev:rev}", endpoint(hub, info_at), http::Work::slow);
  router.add("GET", repo + "/commits/{rev:rev}", endpoint(hub, commits), http::Work::slow);
}

}  // namespace depickle::server::api
