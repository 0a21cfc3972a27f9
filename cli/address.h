// What a command line calls a model.
#pragma once

#include <filesystem>
#include <string>

namespace depickle::cli {

/// A path on this machine. Throws Error{unsupported} for what needs the Hub (hf://…, https://…), {not_found} where there is nothing.
std::filesystem::path local_path(const std::string& address);

}  // namespace depickle::cli
