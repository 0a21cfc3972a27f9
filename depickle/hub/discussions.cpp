#include "depickle/hub/discussions.h"

#include <fmt/format.h>

#include "depickle/base/json.h"
#include "depickle/hub/api.h"

namespace depickle::hub {
namespace {

constexpr size_t kMaxDiscussions = 100'000;

std::string url_of(const Client& client, const RepoId& repo, uint64_t number, std::string_view below = {}) {
  return api_url(client, repo, fmt::format("/discussions/{}{}", number, below));
}

std::string about_of(const RepoId& repo, uint64_t number) { return fmt::format("{} #{}", repo.name(), number); }

DiscussionStatus status_of(std::string_view text, const std::string& about) {
  for (DiscussionStatus status :
      {DiscussionStatus::open, DiscussionStatus::closed, DiscussionStatus::merged, DiscussionStatus::draft}) {
    if (name(status) == text) return status;
  }
  bad_answer(about, "the status of a discussion is unknown");
}

Discussion read_discussion(const JsonValue& json, const std::string& about) {
  Discussion discussion;
  const std::optional<uint64_t> number = json["num"].number();
  if (!number || *number == 0) bad_answer(about, "the number of a discussion is missing");
  discussion.number = *number;
  discussion.title = json["title"].string();
  discussion.status = status_of(json["status"].string(), about);
  discussion.is_pull_request = json["isPullRequest"].is_true();
  discussion.author = json["author"]["name"].string();
  discussion.created_at = json["createdAt"].string();
  return discussion;
}

DiscussionEvent read_event(const JsonValue& json) {
  const JsonValue data = json["data"];
  DiscussionEvent event{
      json["id"].string(), json["type"].string(), json["author"]["name"].string(), json["createdAt"].string()};
  event.is_hidden = data["hidden"].is_true();
  if (event.type == "comment") event.text = data["latest"]["raw"].string();
  if (event.type == "commit") event.text = data["subject"].string();
  if (event.type == "title-change") event.text = data["to"].string();
  if (event.type == "status-change") event.status = data["status"].string();
  if (event.type == "commit") event.commit = data["oid"].string();
  return event;
}

// Not repeatable: a comment or a pull request must not be created twice.
Response post(const Client& client, std::string url, std::string about, std::string body) {
  return client.http().send({.method = "POST",
      .url = std::move(url),
      .about = std::move(about),
      .headers = {"Content-Type: application/json"},
      .body = std::move(body),
      .is_repeatable = false});
}

std::string json_of(std::string_view key, std::string_view value) {
  std::string out;
  JsonWriter(out, JsonWriter::Style::compact).object().key(key).value(value).end();
  return out;
}

}  // namespace

std::string_view name(DiscussionStatus status) noexcept {
  switch (status) {
    case DiscussionStatus::open: return "open";
    case DiscussionStatus::closed: return "closed";
    case DiscussionStatus::merged: return "merged";
    default: return "draft";
  }
}

std::vector<Discussion> list_discussions(const Client& client, const RepoId& repo, const DiscussionFilter& filter) {
  const std::string about = hf_address(repo, {});
  std::string query;
  if (filter.kind == DiscussionFilter::Kind::pull_request) query += "type=pull_request&";
  if (filter.kind == DiscussionFilter::Kind::discussion) query += "type=discussion&";
  if (filter.state == DiscussionFilter::State::open) query += "status=open&";
  if (filter.state == DiscussionFilter::State::closed) query += "status=closed&";
  if (!filter.author.empty()) query += "author=" + escape_segment(filter.author) + "&";
  std::vector<Discussion> discussions;
  for (uint64_t page = 0;; ++page) {
    const JsonValue answer = client.http().json(
        {.url = api_url(client, repo, fmt::format("/discussions?{}p={}", query, page)), .about = about});
    const std::vector<JsonValue> items = answer["discussions"].items();
    for (const JsonValue& item : items) discussions.push_back(read_discussion(item, about));
    if (discussions.size() > kMaxDiscussions)
      throw Error(Code::limit, "", fmt::format("the repository has more than {} discussions", kMaxDiscussions),
          Where::in(about));
    if (items.empty() || discussions.size() >= answer["count"].number().value_or(0)) return discussions;
  }
}

DiscussionDetails discussion(const Client& client, const RepoId& repo, uint64_t number) {
  const std::string about = about_of(repo, number);
  const JsonValue answer = client.http().json({.url = url_of(client, repo, number, "?diff=1"), .about = about});
  DiscussionDetails details{read_discussion(answer, about)};
  if (details.number != number) bad_answer(about, "it describes another discussion");
  for (const JsonValue& event : answer["events"].items()) details.events.push_back(read_event(event));
  details.target = answer["changes"]["base"].string();
  details.merge_commit = answer["changes"]["mergeCommitId"].string();
  for (const JsonValue& path : answer["filesWithConflicts"].items()) details.conflicts.push_back(path.string());
  details.has_conflicts = !details.conflicts.empty() || answer["filesWithConflicts"].is_true();
  details.diff = answer["diff"].string();
  return details;
}

uint64_t open_discussion(
    const Client& client, const RepoId& repo, std::string_view title, std::string_view text, bool is_pull_request) {
  const std::string about = hf_address(repo, {});
  std::string body;
  JsonWriter json(body, JsonWriter::Style::compact);
  json.object().key("title").value(title).key("description").value(text);
  json.key("pullRequest").value(is_pull_request).end();
  const Response response = post(client, api_url(client, repo, "/discussions"), about, std::move(body));
  const std::optional<uint64_t> number = parse_body(response.body, about)["num"].number();
  if (!number) bad_answer(about, "the number of the new discussion is missing");
  return *number;
}

void comment(const Client& client, const RepoId& repo, uint64_t number, std::string_view text) {
  post(client, url_of(client, repo, number, "/comment"), about_of(repo, number), json_of("comment", text));
}

void change_status(
    const Client& client, const RepoId& repo, uint64_t number, DiscussionStatus status, std::string_view text) {
  std::string body;
  JsonWriter json(body, JsonWriter::Style::compact);
  json.object().key("status").value(name(status));
  if (!text.empty()) json.key("comment").value(text);
  json.end();
  post(client, url_of(client, repo, number, "/status"), about_of(repo, number), std::move(body));
}

void rename_discussion(const Client& client, const RepoId& repo, uint64_t number, std::string_view title) {
  post(client, url_of(client, repo, number, "/title"), about_of(repo, number), json_of("title", title));
}

void merge_pull_request(
    const Client& client, const RepoId& repo, uint64_t number, std::string_view expected_head, std::string_view text) {
  std::string body;
  JsonWriter json(body, JsonWriter::Style::compact);
  json.object();
  if (!text.empty()) json.key("comment").value(text);
  if (!expected_head.empty()) json.key("headCommit").value(expected_head);
  json.end();
  post(client, url_of(client, repo, number, "/merge"), about_of(repo, number), std::move(body));
}

}  // namespace depickle::hub
