// What a repository says about itself: the front matter of README.md, and what config.json and model_index.json show.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/hub/store/repo.h"

namespace depickle::server::api {

struct Card {
  std::string library_name, pipeline_tag, license;
  std::vector<std::string> tags;
  std::vector<std::string> architectures;
  std::string model_type;
};

/// The plain `key: value` lines and lists between the first two lines `---`; anything richer is passed over.
Card parse_front_matter(std::string_view readme);
/// Reads at most three small files. What cannot be read says nothing.
Card card_of(const Repo& repo, const std::string& commit);

}  // namespace depickle::server::api
