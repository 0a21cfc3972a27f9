// depickle pr: lists, shows, merges and closes the pull requests of a repository on the Hub.
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "depickle/hub/discussions.h"

namespace depickle::cli {
namespace {

struct PrCommand {
  std::string address;
  uint64_t number = 0;
  std::string comment;
  bool all = false;
  bool yes = false;
  bool json = false;
};

void write_request(
    JsonWriter& json, const hub::Client& client, const hub::RepoId& repository, const hub::Discussion& request) {
  json.key("number").value(request.number).key("title").value(request.title).key("status").value(name(request.status));
  json.key("author")
      .value(request.author)
      .key("created_at")
      .value(request.created_at)
      .key("revision")
      .value(request.revision());
  json.key("url").value(client.page(repository, fmt::format("discussions/{}", request.number)));
}

int list(const PrCommand& options, const Console& console) {
  const hub::Address address = repo_address(options.address);
  const hub::Client client = hub_client();
  const auto requests = hub::list_discussions(client, address.repo,
      {.kind = hub::DiscussionFilter::Kind::pull_request,
          .state = options.all ? hub::DiscussionFilter::State::all : hub::DiscussionFilter::State::open});
  std::string out;
  if (options.json) {
    JsonWriter json(out);
    json.object()
        .key("schema")
        .value("depickle.pr-list/1")
        .key("repo")
        .value(address.repo.name())
        .key("pull_requests")
        .array();
    for (const hub::Discussion& request : requests) {
      json.object();
      write_request(json, client, address.repo, request);
      json.end();
    }
    json.end().end();
  } else {
    for (const hub::Discussion& request : requests)
      out += fmt::format("#{:<5} {:<7} {}  by {}\n", request.number, name(request.status), printable(request.title),
          printable(request.author));
    if (requests.empty()) console.say(options.all ? "no pull requests\n" : "no open pull requests (--all lists all)\n");
  }
  console.out(out);
  return kYes;
}

hub::DiscussionDetails find_request(const hub::Client& client, const hub::RepoId& repository, uint64_t number) {
  hub::DiscussionDetails details = hub::discussion(client, repository, number);
  if (!details.is_pull_request)
    throw Error(Code::not_found, "", fmt::format("#{} is a discussion, not a pull request", number),
        Where::in(repository.name()), "depickle pr list lists the pull requests");
  return details;
}

std::string event_text(const hub::DiscussionEvent& event) {
  std::string out =
      fmt::format("\n{} {}: {}\n", printable(event.created_at), printable(event.author), printable(event.type));
  const std::string text = !event.status.empty()   ? event.status
                           : !event.commit.empty() ? event.commit + " " + event.text
                                                   : event.text;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    out += fmt::format("  {}\n", printable(std::string_view(text).substr(begin, end - begin), 2000));
    begin = end + 1;
  }
  return out;
}

int show(const PrCommand& options, const Console& console) {
  const hub::Address address = repo_address(options.address);
  const hub::Client client = hub_client();
  const hub::DiscussionDetails details =
      find_request(client, address.repo, pull_request_number(address, options.number));
  std::string out;
  if (options.json) {
    JsonWriter json(out);
    json.object().key("schema").value("depickle.pr/1").key("repo").value(address.repo.name());
    write_request(json, client, address.repo, details);
    json.key("target")
        .value(details.target)
        .key("merge_commit")
        .value(details.merge_commit)
        .key("conflicts")
        .value(details.has_conflicts);
    json.key("events").array();
    for (const hub::DiscussionEvent& event : details.events) {
      json.object()
          .key("type")
          .value(event.type)
          .key("author")
          .value(event.author)
          .key("created_at")
          .value(event.created_at);
      json.key("text").value(event.text).key("status").value(event.status).key("commit").value(event.commit).end();
    }
    json.end().end();
  } else {
    out = fmt::format("#{} {}\n{} by {}, into {}{}\n", details.number, printable(details.title), name(details.status),
        printable(details.author), printable(details.target), details.has_conflicts ? ", with conflicts" : "");
    for (const hub::DiscussionEvent& event : details.events)
      if (!event.is_hidden) out += event_text(event);
  }
  console.out(out);
  return kYes;
}

int settle(const PrCommand& options, const Console& console, bool merge) {
  const hub::Address address = repo_address(options.address);
  const uint64_t number = pull_request_number(address, options.number);
  if (merge && !options.yes)
    throw Error(Code::unsupported, "", fmt::format("merging #{} into {} requires --yes", number, address.repo.name()),
        {}, fmt::format("check it first: depickle check {} {}", address.repo.name(), number));
  const hub::Client client = hub_client();
  const hub::DiscussionDetails details = find_request(client, address.repo, number);
  const hub::DiscussionStatus wanted = merge ? hub::DiscussionStatus::merged : hub::DiscussionStatus::closed;
  const bool was_settled = details.status == wanted || details.status == hub::DiscussionStatus::merged;
  if (was_settled) {
    console.say(fmt::format("nothing to do: #{} is already {}\n", number, name(details.status)));
  } else if (merge) {
    hub::merge_pull_request(client, address.repo, number, {}, options.comment);
  } else {
    hub::change_status(client, address.repo, number, hub::DiscussionStatus::closed, options.comment);
  }
  const hub::DiscussionStatus status = was_settled ? details.status : wanted;
  if (options.json) {
    std::string out;
    JsonWriter json(out);
    json.object()
        .key("schema")
        .value("depickle.pr-settled/1")
        .key("repo")
        .value(address.repo.name())
        .key("number")
        .value(number)
        .key("status")
        .value(name(status))
        .end();
    console.out(out);
  } else if (!was_settled) {
    console.say(fmt::format("#{} is {}\n", number, name(status)));
  }
  return was_settled ? kNothingToDo : kYes;
}

}  // namespace

void add_pr(CLI::App& app, Program& program) {
  auto options = std::make_shared<PrCommand>();
  CLI::App* command = app.add_subcommand("pr", "List, show, merge or close pull requests on the Hub");
  command->require_subcommand(1);
  auto add = [&](const char* name, const char* what, int (*run)(const PrCommand&, const Console&)) {
    CLI::App* verb = command->add_subcommand(name, what);
    verb->add_option("REPO", options->address, "ORG/NAME, or a URL")->required();
    verb->add_flag("--json", options->json, "Print one JSON object");
    verb->callback([options, run, &program] {
      program.run = [options, run, &program] { return run(*options, program.console); };
    });
    return verb;
  };
  auto with_number = [&](CLI::App* verb) {
    verb->add_option("NUMBER", options->number, "Number of the pull request");
    return verb;
  };
  add("list", "List open pull requests, newest first", list)
      ->add_flag("--all", options->all, "List merged and closed ones too");
  with_number(add("show", "Show a pull request and its comments", show));
  CLI::App* merge = with_number(add("merge", "Merge a pull request",
      [](const PrCommand& o, const Console& console) { return settle(o, console, true); }));
  CLI::App* close = with_number(add("close", "Close a pull request",
      [](const PrCommand& o, const Console& console) { return settle(o, console, false); }));
  merge->add_flag("--yes", options->yes, "Confirm the merge");
  for (CLI::App* verb : {merge, close})
    verb->add_option("--comment", options->comment, "Add a comment")->type_name("TEXT");
}

}  // namespace depickle::cli
