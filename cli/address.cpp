#include "cli/address.h"

#include <fmt/format.h>

#include "cli/environment.h"
#include "cli/progress_bar.h"
#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/hub/download.h"
#include "depickle/repo/remote.h"
#include "depickle/weights/pick.h"

namespace depickle::cli {
namespace {

namespace fs = std::filesystem;

// Returns the models in the repository, or in a folder of it: one, or one for each component of a pipeline.
std::vector<weights::ModelFile> models_in(
    const hub::Client& client, const hub::Address& address, const std::string& commit) {
  std::vector<std::string> names;
  std::optional<std::string> model_index;
  for (const hub::RepoFile& file : hub::list_commit(client, address.repo, commit)) names.push_back(file.path);
  if (address.path.empty() && std::ranges::find(names, "model_index.json") != names.end())
    model_index = repo::read_text(client, address.repo, commit, "model_index.json");
  try {
    return weights::pick(names, model_index,
        {.subfolder = address.path,
            .read_text = [&](const std::string& path) { return repo::read_text(client, address.repo, commit, path); }})
        .models;
  } catch (const Error& error) {
    throw error.in(hub::hf_address(address.repo, address.revision, address.path));
  }
}

bool exists(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

}  // namespace

fs::path local_path(const std::string& text) {
  if (text.find("://") != std::string::npos)
    throw Error(Code::unsupported, "", "this command reads only local files and folders", Where::in(text),
        "download it first: depickle download " + text);
  std::error_code failed;
  const bool found = fs::exists(text, failed);
  if (failed) throw system_error(failed.value(), "cannot open", text);
  if (!found)
    throw Error(Code::not_found, "", "no such file or folder", Where::in(text),
        repo_address_unless_path(text) ? "the address of a repository on the Hub is hf://" + text : "");
  return text;
}

hub::Client hub_client() {
  defer_interrupts();  // requests write to the cache
  hub::Settings settings = hub_settings();
  settings.check_cancelled = check_interrupted;
  return hub::Client(std::move(settings));
}

std::optional<hub::Address> hub_address(const std::string& text) {
  if (text.find("://") == std::string::npos) return std::nullopt;
  return hub::find_address(text, hub_endpoint());
}

hub::Address repo_address(const std::string& text) { return hub::parse_address(text, hub_endpoint()); }

std::optional<hub::Address> repo_address_unless_path(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == text.npos || slash == 0 || exists(text) || exists(text.substr(0, slash))) return std::nullopt;
  if (detect::is_model_file_name(text.substr(0, text.find('@')))) return std::nullopt;
  try {
    return repo_address(text);
  } catch (const Error&) {
    return std::nullopt;  // not a valid repository
  }
}

uint64_t pull_request_number(const hub::Address& address, uint64_t given) {
  if (given != 0) return given;
  if (address.discussion) return *address.discussion;
  if (const auto number = hub::pull_request_number(address.revision)) return *number;
  const std::string& name = address.repo.name();
  throw Error(Code::unsupported, "", "the number of the pull request is missing", Where::in(name),
      fmt::format("add its number, or paste its address; depickle pr list {} lists them", name));
}

std::vector<weights::NamedModel> find_models(const std::string& text) {
  const auto address = hub_address(text);
  if (!address) return weights::find_models(local_path(text));
  const hub::Client client = hub_client();
  const std::string commit = hub::resolve_commit(client, address->repo, address->revision);
  std::vector<weights::ModelFile> files;
  if (detect::is_weights_name(address->path)) {
    files.push_back({.component = {}, .path = address->path});
  } else {
    files = models_in(client, *address, commit);
  }
  std::vector<weights::NamedModel> models;
  for (const weights::ModelFile& file : files)
    models.push_back({file.component, repo::find_model(client, address->repo, commit, file.path)});
  return models;
}

}  // namespace depickle::cli
