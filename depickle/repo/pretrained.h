// A model by its id: which files, where they are, and their table of tensors.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/base/progress.h"
#include "depickle/hub/client.h"
#include "depickle/repo/pick.h"
#include "depickle/weights/weights.h"

namespace depickle::repo {

enum class Policy {
  prefer_safetensors,  ///< a pickle where there is nothing else, read without executing it
  paranoid,            ///< a pickle is refused
};

struct LoadOptions {
  std::string revision = {};   ///< a branch, a tag, a commit, "refs/pr/22"; empty: the default branch
  std::string variant = {};    ///< "fp16"
  std::string subfolder = {};  ///< one component of a pipeline, as a model
  Policy policy = Policy::prefer_safetensors;
  hub::Settings hub = {};  ///< which Hub, as whom, which cache
  Progress progress = {};
};

struct Pretrained {
  struct Component {
    std::string name;  ///< "unet"; empty for a model that is no pipeline
    std::string file;  ///< that was opened, from `folder`
    bool is_pickle = false;
    Weights weights;
  };
  std::filesystem::path folder;  ///< the snapshot in the cache, or the folder that was named
  std::string commit;            ///< empty for a folder
  bool is_pipeline = false;
  std::vector<Component> components;  ///< at least one, by name
  std::vector<std::string> notes;

  /// The weights of a model. Throws Error{unsupported} for a pipeline: at() names a component of it.
  const Weights& weights() const;
  /// Throws Error{not_found} listing the names that there are.
  const Weights& at(std::string_view component) const;
};

/// Loads `id` ("org/name", with `@rev` too, an hf:// or a page's address) through the cache that huggingface_hub
/// shares, or from a folder of this disk.
/// A path that exists is a folder. Only what will be read is downloaded. Nothing is ever executed.
/// Throws Error{unsafe} under Policy::paranoid where only a pickle would do, with the number of an open pull request
/// that would help, if there is one; what pick(),
/// the Hub and weights::open() throw.
Pretrained load_pretrained(std::string_view id_or_folder, const LoadOptions& options = {});

/// What is on this disk after a download.
struct Fetched {
  std::filesystem::path folder;  ///< the snapshot
  std::string commit;
  Choice choice;  ///< no model in it where `everything` was not asked for and there are no weights
  uint64_t downloaded_bytes = 0;
};

/// Brings the chosen weights of a repository into the cache and, with `with_rest`, everything that is no weights
/// (config, tokenizer …).
/// Throws as load_pretrained() does; a repository without any weights is an error only without `with_rest`.
Fetched fetch(const hub::Client& client, const hub::RepoId& repo, const LoadOptions& options, bool with_rest);

}  // namespace depickle::repo

namespace depickle {
using repo::load_pretrained;
}  // namespace depickle
