#include "depickle/hub/client.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/api.h"
#include "depickle/hub/content_hash.h"
#include "depickle/hub/http.h"
#include "depickle/hub/url.h"

namespace depickle::hub {
namespace {

constexpr size_t kMaxEntries = 200'000, kMaxPages = 2'000, kPathsPerRequest = 500;

std::string checked_commit(std::string_view text, const std::string& about) {
  if (!is_commit_id(text)) bad_answer(about, fmt::format("{} is not a commit id", quoted(text, 80)));
  return std::string(text);
}

// Reads an entry of a tree or of paths-info; nothing for a folder.
std::optional<RepoFile> read_entry(const JsonValue& entry, const std::string& about) {
  if (entry["type"].string() != "file") return {};
  RepoFile file{entry["path"].string(), entry["size"].number().value_or(0), entry["oid"].string(), {}};
  try {
    check_repo_path(file.path);
  } catch (const Error& error) {
    throw error.in(about);
  }
  const JsonValue lfs = entry["lfs"];
  if (lfs.is_object()) {
    file.sha256 = lfs["oid"].string();
    file.size_bytes = lfs["size"].number().value_or(file.size_bytes);
    if (file.sha256.size() != 64) bad_answer(about, fmt::format("the SHA-256 of {} is missing", quoted(file.path)));
  }
  if (!is_content_hash(file.etag())) bad_answer(about, fmt::format("the hash of {} is missing", quoted(file.path)));
  return file;
}

// Reads a list of `{"name","ref","targetCommit"}`.
std::vector<Ref> read_refs(const JsonValue& list, const std::string& about) {
  std::vector<Ref> refs;
  for (const JsonValue& item : list.items()) {
    Ref ref{item["name"].string(), item["ref"].string(), checked_commit(item["targetCommit"].string(), about)};
    if (ref.full_name.starts_with("refs/pr/")) ref.name = ref.full_name;
    refs.push_back(std::move(ref));
  }
  return refs;
}

std::string_view revision_of(std::string_view revision) { return revision.empty() ? "main" : revision; }

}  // namespace

struct Client::State {
  explicit State(Settings given) : settings(std::move(given)), http(settings) {}
  Settings settings;
  Http http;
};

std::optional<std::string> next_page(const Response& response) {
  std::string_view link = response.header("link");
  while (!link.empty()) {
    const size_t open = link.find('<'), close = link.find('>');
    if (open == link.npos || close == link.npos || close < open) return {};
    const std::string_view rest = link.substr(close + 1), parameters = rest.substr(0, rest.find('<'));
    if (parameters.find("rel=\"next\"") != parameters.npos || parameters.find("rel=next") != parameters.npos)
      return join_url(response.url, std::string(link.substr(open + 1, close - open - 1)));
    link = rest;
  }
  return {};
}

std::vector<JsonValue> read_pages(Http& http, Request request, size_t max_items) {
  std::vector<JsonValue> items;
  std::set<std::string> seen;
  for (;;) {
    if (!seen.insert(request.url).second || seen.size() > kMaxPages) bad_answer(request.about, "the pages do not end");
    Response response;
    const JsonValue page = http.json(request, &response);
    if (!page.is_array()) bad_answer(request.about, "a list is missing");
    for (JsonValue& item : page.items()) {
      if (items.size() == max_items) return items;
      items.push_back(std::move(item));
    }
    std::optional<std::string> next = next_page(response);
    if (!next || items.size() == max_items) return items;
    request.url = *next;
  }
}

std::string api_url(const Client& client, const RepoId& repo, std::string_view below) {
  return fmt::format("{}/api/{}/{}{}", client.settings().endpoint, repo.plural(), repo.name(), below);
}

Client::Client(Settings settings) {
  while (settings.endpoint.ends_with('/')) settings.endpoint.pop_back();
  state_ = std::make_shared<State>(std::move(settings));
}

const Settings& Client::settings() const noexcept { return state_->settings; }
Http& Client::http() const noexcept { return state_->http; }

std::string Client::page(const RepoId& repo, std::string_view below) const {
  return fmt::format("{}{}{}{}", settings().endpoint, repo.page_path(), below.empty() ? "" : "/", below);
}

User Client::whoami() const {
  const std::string url = settings().endpoint + "/api/whoami-v2";
  if (settings().token.empty())
    throw Error(Code::denied, "", "this needs a token", {}, "log in with `hf auth login`, or set HF_TOKEN");
  const JsonValue answer = http().json({.url = url});
  User user{answer["name"].string(), {}, answer["auth"]["accessToken"]["role"].string()};
  if (user.name.empty()) bad_answer(url, "the user name is missing");
  for (const JsonValue& org : answer["orgs"].items()) user.organizations.push_back(org["name"].string());
  return user;
}

RepoInfo Client::info(const RepoId& repo, std::string_view revision) const {
  const std::string about = hf_address(repo, revision);
  if (!revision.empty()) check_revision(revision);
  const std::string below = revision.empty() ? "" : "/revision/" + escape_segment(revision);
  const JsonValue answer = http().json({.url = api_url(*this, repo, below), .about = about});
  RepoInfo info;
  info.id = answer["id"].string();
  info.commit = checked_commit(answer["sha"].string(), about);
  info.author = answer["author"].string();
  info.is_private = answer["private"].is_true();
  info.is_gated = answer["gated"].is_true() || !answer["gated"].string().empty();
  info.is_disabled = answer["disabled"].is_true();
  info.library_name = answer["library_name"].string();
  info.pipeline_tag = answer["pipeline_tag"].string();
  for (const JsonValue& tag : answer["tags"].items()) info.tags.push_back(tag.string());
  for (const JsonValue& sibling : answer["siblings"].items()) {
    try {
      check_repo_path(info.files.emplace_back(sibling["rfilename"].string()));
    } catch (const Error& error) {
      throw error.in(about);
    }
  }
  return info;
}

std::vector<RepoFile> Client::files(const RepoId& repo, std::string_view revision, std::string_view folder) const {
  revision = revision_of(revision);
  check_revision(revision);
  const std::string about = hf_address(repo, revision, folder);
  std::string below = "/tree/" + escape_segment(revision);
  if (!folder.empty()) {
    check_repo_path(folder);
    below += "/" + escape_segment(folder);
  }
  below += "?recursive=true&expand=false";
  std::vector<RepoFile> files;
  const auto entries = read_pages(http(), {.url = api_url(*this, repo, below), .about = about}, kMaxEntries + 1);
  if (entries.size() > kMaxEntries)
    throw Error(Code::limit, "", fmt::format("the repository has more than {} files and folders", grouped(kMaxEntries)),
        Where::in(about));
  for (const JsonValue& entry : entries) {
    if (std::optional<RepoFile> file = read_entry(entry, about)) files.push_back(std::move(*file));
  }
  return files;
}

std::vector<RepoFile> Client::files_of(
    const RepoId& repo, std::string_view revision, const std::vector<std::string>& paths) const {
  revision = revision_of(revision);
  check_revision(revision);
  const std::string about = hf_address(repo, revision);
  std::vector<RepoFile> files;
  for (size_t begin = 0; begin < paths.size(); begin += kPathsPerRequest) {
    std::string form = "expand=false";
    for (size_t i = begin; i < std::min(paths.size(), begin + kPathsPerRequest); ++i)
      form += "&paths=" + escape_segment(paths[i]);
    const JsonValue answer = http().json({.method = "POST",
        .url = api_url(*this, repo, "/paths-info/" + escape_segment(revision)),
        .about = about,
        .headers = {"Content-Type: application/x-www-form-urlencoded"},
        .body = std::move(form)});
    for (const JsonValue& entry : answer.items()) {
      if (std::optional<RepoFile> file = read_entry(entry, about)) files.push_back(std::move(*file));
    }
  }
  return files;
}

Refs Client::refs(const RepoId& repo, bool with_pull_requests) const {
  const std::string about = hf_address(repo, {});
  const JsonValue answer =
      http().json({.url = api_url(*this, repo, with_pull_requests ? "/refs?include_prs=1" : "/refs"), .about = about});
  return {
      read_refs(answer["branches"], about), read_refs(answer["tags"], about), read_refs(answer["pullRequests"], about)};
}

std::vector<Commit> Client::commits(const RepoId& repo, std::string_view revision, size_t max_commits) const {
  revision = revision_of(revision);
  check_revision(revision);
  const std::string about = hf_address(repo, revision);
  std::vector<Commit> commits;
  for (const JsonValue& item : read_pages(http(),
           {.url = api_url(*this, repo, "/commits/" + escape_segment(revision)), .about = about}, max_commits)) {
    Commit commit{checked_commit(item["id"].string(), about), item["title"].string(), item["message"].string(), {},
        item["date"].string()};
    for (const JsonValue& author : item["authors"].items()) commit.authors.push_back(author["user"].string());
    commits.push_back(std::move(commit));
  }
  return commits;
}

}  // namespace depickle::hub
