// Discussions and pull requests.
#include <algorithm>
#include <charconv>

#include "server/hub/api/call.h"

namespace depickle::server::api {
namespace {

void write_author(JsonWriter& json, std::string_view name) {
  json.key("author").object().key("name").value(name).key("fullname").value(name).key("type").value("user");
  json.key("avatarUrl").value("").key("isPro").value(false).key("isHf").value(false).key("isMod").value(false).end();
}

// Does not end the object.
void write_discussion(JsonWriter& json, const repos::RepoInfo& info, const repos::Discussion& discussion) {
  json.object().key("num").value(discussion.number).key("title").value(discussion.title);
  json.key("status").value(name(discussion.status)).key("isPullRequest").value(discussion.is_pull_request);
  json.key("createdAt").value(iso_date(discussion.created_at));
  write_author(json, discussion.author);
  json.key("repo").object().key("name").value(info.id.full()).key("type").value(repos::singular(info.id.type)).end();
  json.key("repoOwner").object().key("name").value(info.id.owner).key("type").value("user");
  json.key("isParticipating").value(false).key("isDiscussionAuthor").value(false).end();
  json.key("numComments").value(discussion.comments).key("topReactions").array().end();
  json.key("numReactionUsers").value(uint64_t{0}).key("pinned").value(false);
}

void write_comment(JsonWriter& json, const repos::DiscussionEvent& event) {
  json.key("edited").value(event.edits > 0).key("hidden").value(event.is_hidden).key("numEdits").value(event.edits);
  json.key("editors").array().value(event.author).end().key("reactions").array().end();
  json.key("latest").object().key("raw").value(event.text).key("html").value("");
  json.key("updatedAt").value(iso_date(event.edited_at));
  json.key("author").object().key("name").value(event.author).end().end();
}

void write_event(JsonWriter& json, const repos::DiscussionEvent& event) {
  static constexpr std::string_view kTypes[] = {"comment", "status-change", "title-change", "commit"};
  json.object().key("id").value(event.id).key("type").value(kTypes[static_cast<int>(event.type)]);
  json.key("createdAt").value(iso_date(event.created_at));
  write_author(json, event.author);
  json.key("data").object();
  switch (event.type) {
    case repos::DiscussionEvent::Type::comment: write_comment(json, event); break;
    case repos::DiscussionEvent::Type::status_change: json.key("status").value(name(event.status)); break;
    case repos::DiscussionEvent::Type::title_change:
      json.key("from").value(event.from).key("to").value(event.to);
      break;
    case repos::DiscussionEvent::Type::commit:
      json.key("subject").value(event.subject).key("oid").value(event.oid).key("parents").array();
      for (const std::string& parent : event.parents) json.value(parent);
      json.end();
      break;
  }
  json.end().end();
}

http::Response event_response(std::string_view key, const repos::DiscussionEvent& event) {
  return json_response([&](JsonWriter& json) {
    json.object().key(key);
    write_event(json, event);
    json.end();
  });
}

uint64_t number_of(const Call& call) {
  const std::string& text = call.request.captured("number");
  uint64_t value = 0;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size())
    refuse(404, "DiscussionNotFound", "the discussion does not exist");
  return value;
}

// A repository and its discussions, for one request.
struct RepoDiscussions {
  RepoDiscussions(const Call& call, Need need) : repo(call.hub.store.repo(call.repo_for(need))), discussions(repo) {}
  repos::Repo repo;
  repos::Discussions discussions;
};

// Throws 403 unless the caller is the author or may write to the repository.
void check_author(const Call& call, const RepoDiscussions& opened, uint64_t number, std::string_view author) {
  if (author == call.signed_in_caller().user.name || call.rights(opened.repo.info()).write) return;
  refuse(403, "Forbidden", "discussion " + std::to_string(number) + " belongs to another user");
}

http::Response list(const Call& call) {
  RepoDiscussions opened(call, Need::see);
  std::string type = call.request.query("type").value_or("all"), status = call.request.query("status").value_or("all");
  repos::DiscussionQuery query{.author = call.request.query("author").value_or("")};
  if (type == "pull_request") query.pull_requests = true;
  if (type == "discussion") query.pull_requests = false;
  if (status == "open") query.status = repos::DiscussionQuery::StatusFilter::open;
  if (status == "closed") query.status = repos::DiscussionQuery::StatusFilter::closed;
  uint64_t page =
      std::min<uint64_t>(std::strtoull(call.request.query("p").value_or("0").c_str(), nullptr, 10), 1 << 20);
  query.offset = page * query.limit;
  repos::DiscussionPage found = opened.discussions.list(query);
  return json_response([&](JsonWriter& json) {
    json.object().key("discussions").array();
    for (const repos::Discussion& discussion : found.discussions) {
      write_discussion(json, opened.repo.info(), discussion);
      json.end();
    }
    json.end().key("count").value(found.total).key("start").value(query.offset);
    json.key("numClosedDiscussions").value(found.closed).end();
  });
}

http::Response details(const Call& call) {
  RepoDiscussions opened(call, Need::read);
  bool with_diff = query_flag(call.request, "diff");
  repos::DiscussionDetails found = opened.discussions.details(number_of(call), with_diff);
  const repos::Discussion& discussion = found.discussion;
  return json_response([&](JsonWriter& json) {
    write_discussion(json, opened.repo.info(), discussion);
    json.key("events").array();
    for (const repos::DiscussionEvent& event : found.events) write_event(json, event);
    json.end();
    if (discussion.is_pull_request) {
      json.key("changes").object().key("base").value(discussion.base);
      if (discussion.merge_commit) json.key("mergeCommitId").value(*discussion.merge_commit);
      json.end().key("filesWithConflicts").array();
      for (const std::string& path : found.conflicts) json.value(path);
      json.end();
      if (with_diff) json.key("diff").value(found.diff);
    }
    json.end();
  });
}

http::Response create_discussion(const Call& call) {
  RepoDiscussions opened(call, Need::discuss);
  JsonValue body = call.body();
  std::string title = required_text(body, "title"), text = body["description"].string();
  const std::string& me = call.signed_in_caller().user.name;
  repos::Discussion created = body["pullRequest"].is_true() ? opened.discussions.create_pull_request(title, text, me)
                                                            : opened.discussions.create(title, text, me);
  return json_response([&](JsonWriter& json) {
    json.object().key("num").value(created.number).key("pullRequest").value(created.is_pull_request);
    json.key("url").value(call.web_url(opened.repo.info().id) + "/discussions/" + std::to_string(created.number)).end();
  });
}

http::Response comment(const Call& call) {
  RepoDiscussions opened(call, Need::discuss);
  return event_response("newMessage", opened.discussions.comment(number_of(call), required_text(call.body(), "comment"),
                                          call.signed_in_caller().user.name));
}

http::Response edit_comment(const Call& call) {
  RepoDiscussions opened(call, Need::discuss);
  uint64_t number = number_of(call);
  const std::string& id = call.request.captured("comment");
  if (opened.discussions.at_comment(number, id).author != call.signed_in_caller().user.name)
    refuse(403, "Forbidden", "this comment belongs to another user");
  return event_response(
      "updatedComment", opened.discussions.edit_comment(number, id, required_text(call.body(), "content")));
}

http::Response hide_comment(const Call& call) {
  RepoDiscussions opened(call, Need::discuss);
  uint64_t number = number_of(call);
  const std::string& id = call.request.captured("comment");
  check_author(call, opened, number, opened.discussions.at_comment(number, id).author);
  return event_response("updatedComment", opened.discussions.hide_comment(number, id));
}

http::Response change_title(const Call& call) {
  RepoDiscussions opened(call, Need::discuss);
  uint64_t number = number_of(call);
  check_author(call, opened, number, opened.discussions.at(number).author);
  return event_response("newTitle",
      opened.discussions.change_title(number, required_text(call.body(), "title"), call.signed_in_caller().user.name));
}

http::Response change_status(const Call& call) {
  RepoDiscussions opened(call, Need::discuss);
  uint64_t number = number_of(call);
  check_author(call, opened, number, opened.discussions.at(number).author);
  JsonValue body = call.body();
  auto status = repos::status_named(required_text(body, "status"));
  if (status != repos::Status::open && status != repos::Status::closed)
    refuse(400, "BadRequest", "the status must be open or closed");
  return event_response("newStatus",
      opened.discussions.change_status(number, *status, body["comment"].string(), call.signed_in_caller().user.name));
}

// "headCommit" is an extension of this Hub: the merge is refused with 412 if the pull request has another head.
http::Response merge(const Call& call) {
  RepoDiscussions opened(call, Need::write);
  JsonValue body = call.body();
  std::string head = body["headCommit"].exists() ? required_text(body, "headCommit") : "";
  if (body["headCommit"].exists() && head.size() != 40) refuse(400, "BadRequest", "headCommit is not a commit");
  return event_response("newStatus",
      opened.discussions.merge(number_of(call), head, body["comment"].string(), call.signed_in_caller().user.name));
}

}  // namespace

void add_discussion_routes(http::Router& router, Hub& hub) {
  const std::string all = "/api/{type}/{ns}/{name}/discussions", one = all + "/{number}";
  router.add("GET", all, endpoint(hub, list));
  router.add_with_body("POST", all, body_endpoint(hub, needs(Need::discuss), create_discussion));
  router.add("GET", one, endpoint(hub, details), http::Work::slow);
  router.add_with_body("POST", one + "/comment", body_endpoint(hub, needs(Need::discuss), comment));
  router.add_with_body("POST", one + "/comment/{comment}/edit", body_endpoint(hub, needs(Need::discuss), edit_comment));
  router.add_with_body(
      "POST|PUT", one + "/comment/{comment}/hide", body_endpoint(hub, needs(Need::discuss), hide_comment));
  router.add_with_body("POST", one + "/title", body_endpoint(hub, needs(Need::discuss), change_title));
  router.add_with_body(
      "POST", one + "/status", body_endpoint(hub, needs(Need::discuss), change_status), http::Work::slow);
  router.add_with_body("POST", one + "/merge", body_endpoint(hub, needs(Need::write), merge), http::Work::slow);
}

}  // namespace depickle::server::api
