#include "cli/address.h"

#include <fmt/format.h>

#include "cli/environment.h"
#include "cli/progress_bar.h"
#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/hub/download.h"
#include "depickle/repo/pick.h"
#include "depickle/repo/remote.h"

namespace depickle::cli {
namespace {

namespace fs = std::filesystem;

// The one model in the repository, or in a folder of it.
std::string model_in(const hub::Client& client, const hub::Address& address, const std::string& commit) {
  std::vector<std::string> names;
  std::optional<std::string> model_index;
  for (const hub::RepoFile& file : hub::list_commit(client, address.repo, commit)) names.push_back(file.path);
  if (address.path.empty() && std::ranges::find(names, "model_index.json") != names.end())
    model_index = repo::read_text(client, address.repo, commit, "model_index.json");
  const std::string shown = hub::hf_address(address.repo, address.revision, address.path);
  try {
    const repo::Choice choice = repo::pick(names, model_index, {.subfolder = address.path});
    if (choice.models.size() == 1) return choice.models.front().path;
    throw Error(Code::unsupported, "", fmt::format("is a pipeline of {}", plural(choice.models.size(), "model")), {},
        fmt::format("name one of them: {}/{}", shown, choice.models.front().component));
  } catch (const Error& error) {
    throw error.in(shown);
  }
}

}  // namespace

fs::path local_path(const std::string& address) {
  Where where = Where::in(address);
  if (address.find("://") != std::string::npos)
    throw Error(Code::unsupported, "", "this command reads files and folders on this machine only", where,
        "fetch it first: depickle download " + address);
  std::error_code error;
  bool there = fs::exists(address, error);
  if (error) throw system_error(error.value(), "cannot look at", address);
  if (!there)
    throw Error(Code::not_found, "", "there is no such file or folder", where,
        looks_like_repository(address) ? "a repository on the Hub is written hf://" + address : "");
  return address;
}

hub::Client hub_client() {
  hub::Settings settings = hub_settings();
  settings.check_cancelled = check_interrupted;
  return hub::Client(std::move(settings));
}

std::optional<hub::Address> hub_address(const std::string& text) {
  if (text.find("://") == std::string::npos) return std::nullopt;
  return hub::find_address(text, hub_settings().endpoint);
}

hub::Address repo_address(const std::string& text) { return hub::parse_address(text, hub_settings().endpoint); }

bool looks_like_repository(const std::string& text) {
  const size_t slash = text.find('/');
  std::error_code ignored;
  if (slash == text.npos || slash == 0 || fs::exists(text, ignored) || fs::exists(text.substr(0, slash), ignored))
    return false;
  const std::string name = text.substr(0, text.find('@'));
  if (name.find('/', slash + 1) != name.npos || detect::is_model_file_name(name)) return false;
  try {
    hub::RepoId::parse(name);
    return true;
  } catch (const Error&) {
    return false;
  }
}

Weights open_address(const std::string& text, const weights::OpenOptions& options) {
  const auto address = hub_address(text);
  if (!address) return open(local_path(text), options);
  const hub::Client client = hub_client();
  const std::string commit = hub::resolve_commit(client, address->repo, address->revision);
  const bool is_file = detect::is_weights_name(address->path);
  return repo::open_weights(
      client, address->repo, commit, is_file ? address->path : model_in(client, *address, commit), options);
}

}  // namespace depickle::cli
