// depickle user: manages the users of the embedded Hub.
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "server/hub/repos/users.h"

namespace depickle::cli {
namespace {

using server::repos::Token;
using server::repos::Users;
using server::repos::UserTokens;

struct UserCommand {
  std::string name;
  std::string token_id;
  std::string data = "depickle-hub";
  bool read_only = false;
  bool json = false;
};

std::string_view access(const Token& token) { return token.may_write ? "write" : "read"; }

void print_json(const Console& console, const std::vector<UserTokens>& users) {
  std::string out;
  JsonWriter json(out);
  json.object().key("schema").value("depickle.users/1").key("users").array();
  for (const UserTokens& each : users) {
    json.object().key("name").value(each.user.name).key("created_at").value(server::iso_date(each.user.created_at));
    json.key("tokens").array();
    for (const Token& token : each.tokens)
      json.object()
          .key("id")
          .value(token.id)
          .key("access")
          .value(access(token))
          .key("created_at")
          .value(server::iso_date(token.created_at))
          .end();
    json.end().end();
  }
  json.end().end();
  console.out(out);
}

void print_text(const Console& console, const std::vector<UserTokens>& users) {
  for (const UserTokens& each : users) {
    console.out(fmt::format("{}   {}\n", printable(each.user.name), plural(each.tokens.size(), "token")));
    for (const Token& token : each.tokens)
      console.out(
          fmt::format("  {}   {:<5}   created {}\n", token.id, access(token), server::iso_date(token.created_at)));
  }
}

using Run = int (*)(const UserCommand& options, const Console& console);

int add_token(const UserCommand& options, const Console& console) {
  console.out(Users::open(options.data).add_token(options.name, !options.read_only) + "\n");
  return kYes;
}

int list(const UserCommand& options, const Console& console) {
  const std::vector<UserTokens> users = Users::open(options.data).list();
  options.json ? print_json(console, users) : print_text(console, users);
  return kYes;
}

int revoke(const UserCommand& options, const Console& console) {
  const int64_t revoked = Users::open(options.data).revoke_tokens(options.name, options.token_id);
  console.say(fmt::format("revoked {}\n", plural(static_cast<uint64_t>(revoked), "token")));
  return kYes;
}

int remove(const UserCommand& options, const Console& console) {
  Users::open(options.data).remove(options.name);
  console.say(fmt::format("removed {}\n", printable(options.name)));
  return kYes;
}

}  // namespace

void add_user(CLI::App& app, Program& program) {
  auto options = std::make_shared<UserCommand>();
  CLI::App* command = app.add_subcommand("user", "Manage users of the embedded Hub");
  command->require_subcommand(1);
  auto add = [&](const char* name, const char* description, Run run) {
    CLI::App* action = command->add_subcommand(name, description);
    action->add_option("--data", options->data, "Data folder of the Hub, which may be running")
        ->capture_default_str()
        ->type_name("DIR");
    action->callback([options, &program, run] {
      program.run = [options, &program, run] { return run(*options, program.console); };
    });
    return action;
  };
  CLI::App* adding = add("add", "Create a token, and the user if needed, and print the token", add_token);
  adding->add_option("NAME", options->name, "Letters, digits, - _ and .")->required();
  adding->add_flag("--read-only", options->read_only, "Create a token without write access");
  CLI::App* listing = add("list", "List users and their tokens", list);
  listing->add_flag("--json", options->json, "Print one JSON object");
  CLI::App* revoking = add("revoke", "Delete one token of a user, or all", revoke);
  revoking->add_option("NAME", options->name, "User")->required();
  revoking->add_option("TOKEN", options->token_id, "Id of the token, as `depickle user list` shows it (default: all)");
  CLI::App* removing = add("remove", "Delete a user who owns no repositories, and all tokens of the user", remove);
  removing->add_option("NAME", options->name, "User")->required();
}

}  // namespace depickle::cli
