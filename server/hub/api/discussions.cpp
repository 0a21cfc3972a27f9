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

/// Leaves the object open.
void write_discussion(JsonWriter& json, const RepoInfo& info, const Discussion& discussion) {
  json.object().key("num").value(discussion.number).key("title").value(discussion.title);
  json.key("status").value(name(discussion.status)).key("isPullRequest").value(discussion.is_pull_request);
  json.key("createdAt").value(iso_date(discussion.created_at));
  write_author(json, discussion.author);
  json.key("repo").object().key("name").value(info.id.full()).key("type").value(singular(info.id.type)).end();
  json.key("repoOwner").object().key("name").value(info.id.owner).key("type").value("user");
  json.key("isParticipating").value(false).key("isDiscussionAuthor").value(false).end();
  json.key("numComments").value(discussion.comments).key("topReactions").array().end();
  json.key("numReactionUsers").value(uint64_t{0}).key("pinned").value(false);
}

void write_comment(JsonWriter& json, const Event& event) {
  json.key("edited").value(event.edits > 0).key("hidden").value(event.hidden).key("numEdits").value(event.edits);
  json.key("editors").array().value(event.author).end().key("reactions").array().end();
  json.key("latest").object().key("raw").value(event.text).key("html").value("");
  json.key("updatedAt").value(iso_date(event.edited_at));
  json.key("author").object().key("name").value(event.author).end().end();
}

void write_event(JsonWriter& json, const Event& event) {
  static constexpr std::string_view kTypes[] = {"comment", "status-change", "title-change", "commit"};
  json.object().key("id").value(event.id).key("type").value(kTypes[static_cast<int>(event.kind)]);
  json.key("createdAt").value(iso_date(event.created_at));
  write_author(json, event.author);
  json.key("data").object();
  switch (event.kind) {
    case Event::Kind::comment: write_comment(json, event); break;
    case Event::Kind::status_change: json.key("status").value(name(event.status)); break;
    case Event::Kind::title_change: json.key("from").value(event.from).key("to").value(event.to); break;
    case Event::Kind::commit:
      json.key("subject").value(event.subject).key("oid").value(event.oid).key("parents").array();
      for (const std::string& parent : event.parents) json.value(parent);
      json.end();
      break;
  }
  json.end().end();
}

http::Response event_response(std::string_view key, const Event& event) {
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
    refuse(404, "DiscussionNotFound", "there is no such discussion");
  return value;
}

/// A repository with its discussions, for one request.
struct Opened {
  Opened(const Call& call, Need need) : repo(call.hub.store.repo(call.repo_for(need))), discussions(repo) {}
  Repo repo;
  Discussions discussions;
};

/// For what changes a discussion: its author may, and whoever may write.
void check_own(const Call& call, const Opened& opened, uint64_t number, std::string_view author) {
  if (author == call.someone().user.name || call.rights(opened.repo.info()).write) return;
  refuse(403, "Forbidden", "discussion " + std::to_string(number) + " is another's");
}

http::Response list(const Call& call) {
  Opened opened(call, Need::see);
  std::string type = call.request.query("type").value_or("all"), status = call.request.query("status").value_or("all");
  DiscussionQuery query{.author = call.request.query("author").value_or("")};
  if (type == "pull_request") query.pull_requests = true;
  if (type == "discussion") query.pull_requests = false;
  if (status == "open") query.which = DiscussionQuery::Which::open;
  if (status == "closed") query.which = DiscussionQuery::Which::closed;
  uint64_t page =
      std::min<uint64_t>(std::strtoull(call.request.query("p").value_or("0").c_str(), nullptr, 10), 1 << 20);
  query.offset = page * query.limit;
  DiscussionPage found = opened.discussions.list(query);
  return json_response([&](JsonWriter& json) {
    json.object().key("discussions").array();
    for (const Discussion& discussion : found.discussions) {
      write_discussion(json, opened.repo.info(), discussion);
      json.end();
    }
    json.end().key("count").value(found.total).key("start").value(query.offset);
    json.key("numClosedDiscussions").value(found.closed).end();
  });
}

http::Response details(const Call& call) {
  Opened opened(call, Need::read);
  bool with_diff = asks_for(call.request, "diff");
  DiscussionDetails found = opened.discussions.details(number_of(call), with_diff);
  const Discussion& discussion = found.discussion;
  return json_response([&](JsonWriter& json) {
    write_discussion(json, opened.repo.info(), discussion);
    json.key("events").array();
    for (const Event& event : found.events) write_event(json, event);
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
  Opened opened(call, Need::discuss);
  JsonValue body = call.body();
  std::string title = body.required_text("title"), text = body.text("description").value_or("");
  const std::string& me = call.someone().user.name;
  Discussion made = body.boolean("pullRequest").value_or(false)
                        ? opened.discussions.create_pull_request(title, text, me)
                        : opened.discussions.create(title, text, me);
  return json_response([&](JsonWriter& json) {
    json.object().key("num").value(made.number).key("pullRequest").value(made.is_pull_request);
    json.key("url").value(call.web_url(opened.repo.info().id) + "/discussions/" + std::to_string(made.number)).end();
  });
}

http::Response comment(const Call& call) {
  Opened opened(call, Need::discuss);
  return event_response("newMessage",
      opened.discussions.comment(number_of(call), call.body().required_text("comment"), call.someone().user.name));
}

http::Response edit_comment(const Call& call) {
  Opened opened(call, Need::discuss);
  uint64_t number = number_of(call);
  const std::string& id = call.request.captured("comment");
  if (opened.discussions.at_comment(number, id).author != call.someone().user.name)
    refuse(403, "Forbidden", "this comment is another's");
  return event_response(
      "updatedComment", opened.discussions.edit_comment(number, id, call.body().required_text("content")));
}

http::Response hide_comment(const Call& call) {
  Opened opened(call, Need::discuss);
  uint64_t number = number_of(call);
  const std::string& id = call.request.captured("comment");
  check_own(call, opened, number, opened.discussions.at_comment(number, id).author);
  return event_response("updatedComment", opened.discussions.hide_comment(number, id));
}

http::Response change_title(const Call& call) {
  Opened opened(call, Need::discuss);
  uint64_t number = number_of(call);
  check_own(call, opened, number, opened.discussions.at(number).author);
  return event_response("newTitle",
      opened.discussions.change_title(number, call.body().required_text("title"), call.someone().user.name));
}

http::Response change_status(const Call& call) {
  Opened opened(call, Need::discuss);
  uint64_t number = number_of(call);
  check_own(call, opened, number, opened.discussions.at(number).author);
  JsonValue body = call.body();
  auto status = status_named(body.required_text("status"));
  if (status != Status::open && status != Status::closed) refuse(400, "BadRequest", "a status is open or closed");
  return event_response("newStatus",
      opened.discussions.change_status(number, *status, body.text("comment").value_or(""), call.someone().user.name));
}

http::Response merge(const Call& call) {
  Opened opened(call, Need::write);
  return event_response("newStatus",
      opened.discussions.merge(number_of(call), call.body().text("comment").value_or(""), call.someone().user.name));
}

}  // namespace

void add_discussion_routes(http::Router& router, Hub& hub) {
  const std::string all = "/api/{type}/{ns}/{name}/discussions", one = all + "/{number}";
  router.add("GET", all, endpoint(hub, list));
  router.add("POST", all, endpoint(hub, create_discussion));
  router.add("GET", one, endpoint(hub, details));
  router.add("POST", one + "/comment", endpoint(hub, comment));
  router.add("POST", one + "/comment/{comment}/edit", endpoint(hub, edit_comment));
  router.add("POST|PUT", one + "/comment/{comment}/hide", endpoint(hub, hide_comment));
  router.add("POST", one + "/title", endpoint(hub, change_title));
  router.add("POST", one + "/status", endpoint(hub, change_status));
  router.add("POST", one + "/merge", endpoint(hub, merge));
}

}  // namespace depickle::server::api
