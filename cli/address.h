// Resolves the addresses of models in the command line: local paths and addresses on a Hub.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "depickle/base/source.h"
#include "depickle/hub/client.h"
#include "depickle/weights/weights.h"

namespace depickle::cli {

/// Returns `text` as an existing local path. Throws Error{unsupported} for an address on a Hub (hf://…, https://…),
/// {not_found} if the path does not exist.
std::filesystem::path local_path(const std::string& text);

/// Returns a client for the Hub of the environment. Ctrl-C cancels its requests.
hub::Client hub_client();

/// Parses hf://ORG/NAME[@REV][/PATH] or the URL of a page. Returns nullopt for a path. Throws Error{malformed}.
std::optional<hub::Address> hub_address(const std::string& text);
/// Parses the same, and ORG/NAME[@REV]. Throws Error{malformed}.
hub::Address repo_address(const std::string& text);
/// Parses ORG/NAME[@REV]. Returns nullopt if it could be a path: ORG exists here, or NAME has the extension of a
/// weights file.
std::optional<hub::Address> repo_address_unless_path(const std::string& text);

/// Returns `given`, or if it is 0 the number in the address of a pull request. Throws Error{unsupported} if there is
/// none.
uint64_t pull_request_number(const hub::Address& address, uint64_t given);

/// Returns the model in a file, a folder or an index, local or on a Hub without downloading it. In a folder or a
/// repository, returns the model that a library would load, or all models of a pipeline.
std::vector<weights::NamedModel> find_models(const std::string& text);

}  // namespace depickle::cli
