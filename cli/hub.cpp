// depickle hub: maintains the data folder of the embedded Hub.
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/progress_bar.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "server/hub/repos/garbage.h"

namespace depickle::cli {
namespace {

using server::content::Removed;
using server::repos::Garbage;
using server::repos::GarbageOptions;

constexpr int64_t kMaxHours = int64_t{24} * 365 * 10;

struct HubCommand {
  std::string data = "depickle-hub";
  int64_t min_age_hours = -1;  // the defaults of GarbageOptions
  bool dry_run = false;
  bool json = false;
};

struct Kind {
  const char* key;
  const char* text;
  Removed Garbage::* removed;
};

constexpr Kind kKinds[] = {
    {"objects", "LFS objects", &Garbage::objects},
    {"xorbs", "xorbs", &Garbage::xorbs},
    {"uploads", "unfinished uploads", &Garbage::uploads},
    {"temporary", "temporary files", &Garbage::temporary},
};

void print_json(const Console& console, const HubCommand& options, const Garbage& garbage) {
  std::string out;
  JsonWriter json(out);
  json.object().key("schema").value("depickle.hub-gc/1").key("dry_run").value(options.dry_run);
  for (const Kind& kind : kKinds) {
    const Removed& removed = garbage.*kind.removed;
    json.key(kind.key).object().key("count").value(removed.count).key("bytes").value(removed.bytes).end();
  }
  json.key("references").value(garbage.references).key("problems").array();
  for (const std::string& problem : garbage.problems) json.value(problem);
  json.end().end();
  console.out(out);
}

void print_text(const Console& console, const HubCommand& options, const Garbage& garbage) {
  uint64_t total_bytes = 0;
  for (const Kind& kind : kKinds) {
    const Removed& removed = garbage.*kind.removed;
    console.out(fmt::format("{:<20}{:>8}  {:>10}\n", kind.text, removed.count, human_bytes(removed.bytes)));
    total_bytes += removed.bytes;
  }
  console.out(fmt::format("{} {}\n", options.dry_run ? "would free" : "freed", human_bytes(total_bytes)));
}

int gc(const HubCommand& options, const Console& console) {
  GarbageOptions collect;
  collect.dry_run = options.dry_run;
  if (options.min_age_hours >= 0) collect.upload_age = collect.released_age = std::chrono::hours(options.min_age_hours);
  defer_interrupts();
  ProgressBar bar(console, false);
  collect.progress = [listener = bar.listener()](
                         std::string_view phase, std::string_view state) { listener({phase, state, 0, 0}); };
  const Garbage garbage = collect_garbage(options.data, collect);
  bar.clear();
  for (const std::string& problem : garbage.problems) console.say(printable(problem) + "\n");
  options.json ? print_json(console, options, garbage) : print_text(console, options, garbage);
  return garbage.problems.empty() ? kYes : kCouldNot;
}

}  // namespace

void add_hub(CLI::App& app, Program& program) {
  auto options = std::make_shared<HubCommand>();
  CLI::App* command = app.add_subcommand("hub", "Maintain the data folder of the embedded Hub");
  command->require_subcommand(1);
  CLI::App* collecting = command->add_subcommand("gc", "Delete what no commit needs");
  collecting->add_option("--data", options->data, "Data folder of the Hub, which may be running")
      ->capture_default_str()
      ->type_name("DIR");
  collecting
      ->add_option("--min-age", options->min_age_hours,
          "Keep what is younger (default: uploads without a commit 168, objects of deleted commits 24)")
      ->check(CLI::Range(int64_t{0}, kMaxHours))
      ->type_name("HOURS");
  collecting->add_flag("-n,--dry-run", options->dry_run, "Delete nothing, print what would be deleted");
  collecting->add_flag("--json", options->json, "Print one JSON object");
  collecting->callback(
      [options, &program] { program.run = [options, &program] { return gc(*options, program.console); }; });
}

}  // namespace depickle::cli
