// What a command line calls a model: something on this disk, or on a Hub.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "depickle/base/source.h"
#include "depickle/hub/client.h"
#include "depickle/weights/weights.h"

namespace depickle::cli {

/// A path on this machine. Throws Error{unsupported} for what needs the Hub (hf://…, https://…), {not_found} where
/// there is nothing.
std::filesystem::path local_path(const std::string& address);

/// The Hub of the environment, which Ctrl-C interrupts.
hub::Client hub_client();

/// hf://ORG/NAME[@REV][/PATH] or a page's address; empty for what is a path.
std::optional<hub::Address> hub_address(const std::string& text);
/// ORG/NAME[@REV] as well. Throws Error{malformed}.
hub::Address repo_address(const std::string& text);
/// Whether ORG/NAME can only be meant as a repository: nothing here begins so, and it has no weights file's ending.
bool looks_like_repository(const std::string& text);

/// Opens a file, a folder or an index here, or on the Hub without downloading it. Of a repository or a folder of one:
/// the model that a library
/// would load.
Weights open_address(const std::string& text, const weights::OpenOptions& options = {});

}  // namespace depickle::cli
