// depickle convert ORG/NAME: converts a repository on the Hub, to a folder or as a pull request.
#pragma once

#include <filesystem>

#include "cli/console.h"
#include "depickle/convert/convert.h"
#include "depickle/hub/address.h"
#include "depickle/repo/engine.h"

namespace depickle::cli {

struct RepoConversion {
  hub::Address repository;
  std::filesystem::path target;  ///< empty with `pull_request`
  convert::Options convert;
  repo::Engine* checker = nullptr;  ///< of earlier pull requests
  bool pull_request = false;
  bool dry_run = false;
  bool json = false;
  bool events = false;
};

/// Runs the conversion and returns the exit code. With `pull_request`, only its URL goes to stdout.
int convert_repo(const RepoConversion& request, const Console& console);

}  // namespace depickle::cli
