// Loads a model by its id: selects the files, downloads them, and opens their tables of tensors.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/progress.h"
#include "depickle/hub/client.h"
#include "depickle/weights/pick.h"
#include "depickle/weights/weights.h"

namespace depickle::repo {

enum class Policy {
  prefer_safetensors,  ///< a pickle is read, without executing it, if no safetensors exist
  paranoid,            ///< a pickle is refused
};

struct LoadOptions {
  std::string revision = {};   ///< a branch, a tag, a commit, "refs/pr/22"; empty: the default branch
  std::string variant = {};    ///< "fp16"
  std::string subfolder = {};  ///< one component of a pipeline, loaded as a model
  Policy policy = Policy::prefer_safetensors;
  hub::Settings hub = {};  ///< endpoint, token and cache
  Progress progress = {};
};

struct Pretrained {
  struct Component {
    std::string name;  ///< "unet"; empty if the model is not part of a pipeline
    std::string file;  ///< the opened file, relative to `folder`
    bool is_pickle = false;
    Weights weights;
  };
  std::filesystem::path folder;  ///< the snapshot in the cache, or the local folder
  std::string commit;            ///< empty for a local folder
  bool is_pipeline = false;
  std::vector<Component> components;  ///< at least one, sorted by name
  std::vector<std::string> notes;

  /// Returns the weights of a model. Throws Error{unsupported} for a pipeline; use at() there.
  const Weights& weights() const;
  /// Throws Error{not_found} with the existing names.
  const Weights& at(std::string_view component) const;
};

/// Loads a repository ("org/name", "org/name@rev", hf://… or a page's URL) through the cache that it shares with
/// huggingface_hub, or a local folder. An existing folder takes precedence over a repository. Downloads only the files
/// that are read. Executes nothing.
/// Throws Error{unsafe} under Policy::paranoid if only a pickle exists; its hint names an open pull request that adds
/// safetensors, if there is one. Also throws as weights::pick(), the Hub client and weights::open() do.
Pretrained load_pretrained(std::string_view id_or_folder, const LoadOptions& options = {});

/// The result of a download.
struct Fetched {
  std::filesystem::path folder;  ///< the snapshot
  std::string commit;
  weights::Choice choice;  ///< contains no model if `with_rest` was set and the repository has no weights
  uint64_t downloaded_bytes = 0;
};

/// Downloads the selected weights of a repository into the cache and, if `with_rest`, all files that are not weights
/// (config, tokenizer …). Throws as load_pretrained() does; a repository without weights is an error only without
/// `with_rest`.
Fetched fetch(const hub::Client& client, const hub::RepoId& repo, const LoadOptions& options, bool with_rest);

}  // namespace depickle::repo

namespace depickle {
using repo::load_pretrained;
}  // namespace depickle
