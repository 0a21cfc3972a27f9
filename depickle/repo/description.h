// The text of a pull request: what was done, and how anybody can see that it is so. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "depickle/convert/convert.h"

namespace depickle::repo {

struct DescribedFile {
  std::string target, source;
  uint64_t target_bytes = 0, source_bytes = 0;
  std::string target_sha256 = {}, source_sha256 = {};  ///< empty before the conversion
};

/// What the pickles name, as scan() reports it.
struct NamedInPickles {
  std::vector<std::string> inert;     ///< "torch._utils._rebuild_tensor_v2"; sorted, each once
  std::vector<std::string> findings;  ///< "pytorch_model.bin: `os.system(…)`, runs a command"
};

struct Description {
  std::string repo, commit, version;
  std::string library;       ///< "transformers", "diffusers" or another word of the Hub; empty where it does not say
  bool is_pipeline = false;  ///< it has a model_index.json
  uint64_t number = 0;       ///< that the pull request will have
  std::vector<DescribedFile> files;
  std::vector<std::string> indexes;
  uint64_t tensors = 0, identical = 0;  ///< identical is 0 before the conversion
  std::vector<convert::Tied> tied;
  std::vector<std::string> left_in_files;  ///< "epoch (int 3)"
  std::vector<std::string> skipped;        ///< tensors that safetensors cannot hold
  std::vector<convert::SkippedFile> left;  ///< files that were not converted
  NamedInPickles named;
  std::string receipt;  ///< JSON; folded in where it is at most 16 KiB
};

/// Markdown. Names from the repository cannot break out of it.
std::string to_markdown(const Description& description);

/// `text` as Markdown code on one line, also inside a table.
std::string markdown_code(std::string_view text);

}  // namespace depickle::repo
