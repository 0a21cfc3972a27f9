// Metadata of a repository: the front matter of README.md, config.json and model_index.json.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/hub/repos/repo.h"

namespace depickle::server::api {

struct Card {
  std::string library_name, pipeline_tag, license;
  std::vector<std::string> tags;
  std::vector<std::string> architectures;
  std::string model_type;
};

/// Reads the plain `key: value` lines and lists between the first two lines `---`. Ignores other YAML.
Card parse_front_matter(std::string_view readme);
/// Reads at most three small files. Ignores files that cannot be parsed.
Card card_of(const repos::Repo& repo, const std::string& commit);

}  // namespace depickle::server::api
