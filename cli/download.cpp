// depickle download: downloads the files that a model library would load, into the shared cache.
#include <fnmatch.h>

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/address.h"
#include "cli/command.h"
#include "cli/exit_code.h"
#include "cli/progress_bar.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/hub/download.h"
#include "depickle/repo/pretrained.h"

namespace depickle::cli {
namespace {

namespace fs = std::filesystem;

struct DownloadCommand {
  std::string address;
  repo::LoadOptions load;
  std::vector<std::string> include;
  bool paranoid = false;
  bool only_weights = false;
  bool json = false;
  bool events = false;
};

struct Downloaded {
  fs::path path;  // the snapshot's folder, or a file in it
  std::string commit;
  uint64_t downloaded_bytes = 0;
  std::vector<weights::ModelFile> models = {};  // the models that a library would load
};

void refuse_pickles(const std::vector<hub::RepoFile>& files) {
  for (const hub::RepoFile& file : files)
    if (detect::is_pickle_name(file.path))
      throw Error(Code::unsafe, "", "is a pickle", Where::in(file.path), "omit --paranoid to download it");
}

// Downloads the named files, whatever a library would load.
Downloaded fetch_named(const hub::Client& client, const hub::Address& address, const DownloadCommand& options) {
  const std::string commit = hub::resolve_commit(client, address.repo, options.load.revision);
  std::vector<hub::RepoFile> files;
  for (hub::RepoFile& file : hub::list_commit(client, address.repo, commit)) {
    const bool included = std::ranges::any_of(options.include,
        [&](const std::string& pattern) { return ::fnmatch(pattern.c_str(), file.path.c_str(), 0) == 0; });
    if (included || (!address.path.empty() && file.path == address.path)) files.push_back(std::move(file));
  }
  if (files.empty())
    throw Error(Code::not_found, "",
        options.include.empty() ? "no such file or folder" : "no file name matches --include",
        Where::in(hub::hf_address(address.repo, options.load.revision, address.path)));
  if (options.paranoid) refuse_pickles(files);
  const hub::Snapshot snapshot = hub::download_files(client, address.repo, commit, files, options.load.progress,
      options.load.revision.empty() ? "main" : options.load.revision);
  return {
      options.include.empty() ? snapshot.folder / address.path : snapshot.folder, commit, snapshot.downloaded_bytes};
}

bool is_file(const hub::Client& client, const hub::Address& address, const std::string& revision) {
  if (address.path.empty()) return false;
  const std::string commit = hub::resolve_commit(client, address.repo, revision);
  const auto files = hub::list_commit(client, address.repo, commit);
  return std::ranges::find(files, address.path, &hub::RepoFile::path) != files.end();
}

Downloaded work(DownloadCommand& options, const Console& console) {
  const hub::Address address = repo_address(options.address);
  if (options.load.revision.empty()) options.load.revision = address.revision;
  options.load.policy = options.paranoid ? repo::Policy::paranoid : repo::Policy::prefer_safetensors;
  const hub::Client client = hub_client();
  if (!options.include.empty() || is_file(client, address, options.load.revision))
    return fetch_named(client, address, options);
  if (options.load.subfolder.empty()) options.load.subfolder = address.path;
  const repo::Fetched fetched = repo::fetch(client, address.repo, options.load, !options.only_weights);
  for (const std::string& note : fetched.choice.notes) console.say(fmt::format("note: {}\n", printable(note)));
  for (const weights::ModelFile& model : fetched.choice.models)
    if (model.is_pickle)
      console.say(fmt::format(
          "note: {} is a pickle; the repository contains no safetensors file for it\n", printable(model.path)));
  return {fetched.folder, fetched.commit, fetched.downloaded_bytes, fetched.choice.models};
}

int run(DownloadCommand options, const Console& console) {
  ProgressBar bar(console, options.events);
  options.load.progress = bar.listener();
  const Downloaded downloaded = work(options, console);
  bar.clear();
  if (!options.json && !options.events) {
    console.out(downloaded.path.string() + "\n");
    return kYes;
  }
  std::string out;
  JsonWriter json(out, options.events ? JsonWriter::Style::compact : JsonWriter::Style::pretty);
  json.object()
      .key("schema")
      .value("depickle.download/1")
      .key("path")
      .value(downloaded.path.string())
      .key("commit")
      .value(downloaded.commit);
  json.key("downloaded_bytes").value(downloaded.downloaded_bytes).key("models").array();
  for (const weights::ModelFile& model : downloaded.models) {
    json.object().key("name").value(model.component).key("path").value((downloaded.path / model.path).string());
    json.key("pickle").value(model.is_pickle).end();
  }
  json.end().end();
  console.out(options.events ? out + "\n" : out);
  return kYes;
}

}  // namespace

void add_download(CLI::App& app, Program& program) {
  auto options = std::make_shared<DownloadCommand>();
  CLI::App* command =
      app.add_subcommand("download", "Download the files that a model library would load, and print their folder");
  command->add_option("ADDR", options->address, "ORG/NAME[@REV], hf://ORG/NAME[@REV][/PATH], or a URL")->required();
  command->add_option("--revision", options->load.revision, "Branch, tag, commit, or refs/pr/N")->type_name("REV");
  command->add_option("--variant", options->load.variant, "Weights of this variant, such as fp16")->type_name("NAME");
  command->add_option("--subfolder", options->load.subfolder, "Model in this folder, such as unet")
      ->type_name("FOLDER");
  command->add_option("--include", options->include, "Only files whose names match, such as '*.json'")
      ->type_name("PATTERN");
  command->add_flag("--paranoid", options->paranoid, "Refuse pickles");
  command->add_flag("--only-weights", options->only_weights, "Only weights, no configuration and no tokenizer");
  command->add_flag("--json", options->json, "Print one JSON object");
  command->add_flag("--events", options->events, "Print JSON Lines: progress, then the result");
  command->callback(
      [options, &program] { program.run = [options, &program] { return run(*options, program.console); }; });
}

}  // namespace depickle::cli
