#include "depickle/repo/pretrained.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/hub/download.h"
#include "depickle/os/mapped_file.h"
#include "depickle/repo/previous.h"
#include "depickle/repo/remote.h"

namespace depickle::repo {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModelIndex = "model_index.json";

weights::PickOptions pick_options(const LoadOptions& options) {
  return {
      .variant = options.variant, .subfolder = options.subfolder, .allow_pickle = options.policy != Policy::paranoid};
}

Pretrained open_choice(const fs::path& folder, const weights::Choice& choice) {
  Pretrained loaded{
      .folder = folder, .commit = {}, .is_pipeline = choice.is_pipeline, .components = {}, .notes = choice.notes};
  for (const weights::ModelFile& model : choice.models)
    loaded.components.push_back({model.component, model.path, model.is_pickle, weights::open(folder / model.path)});
  return loaded;
}

Pretrained from_folder(const fs::path& folder, const LoadOptions& options) {
  return open_choice(folder, weights::pick_in(folder, pick_options(options)));
}

// Returns the refusal of a pickle with a hint: an open pull request that adds safetensors, or how to open one.
Error with_help(const Error& refusal, const hub::Client& client, const hub::RepoId& repo,
    const std::optional<std::string>& model_index, const weights::PickOptions& options) {
  std::optional<uint64_t> helpful;
  try {
    helpful = helpful_pull_request(client, repo, model_index, options);
  } catch (const Error& error) {
    if (error.code() == Code::cancelled) throw;
    return refusal;  // a failed search for pull requests does not replace the refusal
  }
  if (!helpful)
    return refusal.with_hint(
        fmt::format("depickle convert {} --pr opens a pull request that adds safetensors", repo.name()));
  return refusal.with_hint(
      fmt::format("pull request #{0} adds safetensors: depickle check {1} {0}, then load the revision refs/pr/{0}",
          *helpful, repo.name()));
}

class Fetcher {
 public:
  Fetcher(const hub::Client& client, const hub::RepoId& repo, const LoadOptions& options)
      : client_(client),
        repo_(repo),
        options_(options) {}

  Fetched run(bool with_rest) {
    Fetched fetched{.folder = {}, .commit = hub::resolve_commit(client_, repo_, options_.revision), .choice = {}};
    commit_ = fetched.commit;
    files_ = hub::list_commit(client_, repo_, commit_);
    fetched.choice = choose(with_rest);
    std::vector<std::string> wanted;
    for (const weights::ModelFile& model : fetched.choice.models) add_model(model, wanted);
    if (with_rest)
      for (const hub::RepoFile& file : files_)
        if (!detect::is_weights_name(file.path)) wanted.push_back(file.path);
    fetched.folder = download(wanted);
    fetched.downloaded_bytes = downloaded_bytes_;
    return fetched;
  }

 private:
  bool has(const std::string& path) const {
    return std::ranges::find(files_, path, &hub::RepoFile::path) != files_.end();
  }

  weights::Choice choose(bool with_rest) {
    std::vector<std::string> names;
    for (const hub::RepoFile& file : files_) names.push_back(file.path);
    std::optional<std::string> model_index;
    if (has(kModelIndex)) model_index = text(os::MappedFile::open(download({kModelIndex}) / kModelIndex)->all());
    weights::PickOptions pick_by = pick_options(options_);
    pick_by.read_text = [&](const std::string& path) { return read_text(client_, repo_, commit_, path); };
    try {
      return weights::pick(names, model_index, pick_by);
    } catch (const Error& error) {
      const bool no_weights =
          std::ranges::none_of(names, [](const std::string& name) { return detect::is_weights_name(name); });
      if (with_rest && no_weights && options_.variant.empty() && options_.subfolder.empty()) return {};
      if (error.code() == Code::unsafe) throw with_help(error, client_, repo_, model_index, pick_by);
      if (error.code() == Code::not_found) throw error.in(hub::hf_address(repo_, options_.revision));
      throw;
    }
  }

  void add_model(const weights::ModelFile& model, std::vector<std::string>& wanted) {
    wanted.push_back(model.path);
    if (!model.is_index) return;
    const std::string folder = model.path.substr(0, model.path.rfind('/') + 1);
    const safetensors::Index index = safetensors::Index::read(download({model.path}) / model.path);
    for (const std::string& shard : index.shards()) {
      if (!has(folder + shard))
        throw Error(Code::not_found, "",
            fmt::format("names the shard {}, which the repository does not contain", quoted(shard)),
            Where::in(model.path));
      wanted.push_back(folder + shard);
    }
  }

  // Downloads files into the snapshot and returns its folder.
  fs::path download(std::vector<std::string> wanted) {
    std::ranges::sort(wanted);
    wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
    std::vector<hub::RepoFile> files;
    for (const hub::RepoFile& file : files_)
      if (std::ranges::binary_search(wanted, file.path)) files.push_back(file);
    hub::Snapshot snapshot = hub::download_files(
        client_, repo_, commit_, files, options_.progress, options_.revision.empty() ? "main" : options_.revision);
    downloaded_bytes_ += snapshot.downloaded_bytes;
    return snapshot.folder;
  }

  const hub::Client& client_;
  const hub::RepoId& repo_;
  const LoadOptions& options_;
  std::string commit_;
  std::vector<hub::RepoFile> files_;
  uint64_t downloaded_bytes_ = 0;
};

}  // namespace

const Weights& Pretrained::weights() const {
  if (!is_pipeline) return components.front().weights;
  throw Error(Code::unsupported, "", fmt::format("is a pipeline of {}", plural(components.size(), "model")),
      Where::in(folder.string()), "choose a component by its name or subfolder");
}

const Weights& Pretrained::at(std::string_view component) const {
  auto found = std::ranges::find(components, component, &Component::name);
  if (found != components.end()) return found->weights;
  std::vector<std::string> names;
  for (const Component& there : components) names.push_back(printable(there.name));
  throw Error(Code::not_found, "",
      fmt::format("does not contain the component {} (it has {})", quoted(component), fmt::join(names, ", ")),
      Where::in(folder.string()));
}

Fetched fetch(const hub::Client& client, const hub::RepoId& repo, const LoadOptions& options, bool with_rest) {
  return Fetcher(client, repo, options).run(with_rest);
}

Pretrained load_pretrained(std::string_view id_or_folder, const LoadOptions& options) {
  std::error_code ignored;
  if (fs::is_directory(id_or_folder, ignored)) return from_folder(id_or_folder, options);
  const hub::Address address = hub::parse_address(id_or_folder, options.hub.endpoint);
  LoadOptions there = options;
  if (there.revision.empty()) there.revision = address.revision;
  if (there.subfolder.empty()) there.subfolder = address.path;
  const Fetched fetched = fetch(hub::Client(options.hub), address.repo, there, false);
  Pretrained loaded = open_choice(fetched.folder, fetched.choice);
  loaded.commit = fetched.commit;
  return loaded;
}

}  // namespace depickle::repo
