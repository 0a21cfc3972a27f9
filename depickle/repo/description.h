// The text of a pull request: what it adds, and how to verify it. Pure.
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

/// The globals and calls of the pickles, as scan() reports them.
struct NamedInPickles {
  std::vector<std::string> inert;     ///< "torch._utils._rebuild_tensor_v2"; sorted, unique
  std::vector<std::string> findings;  ///< "pytorch_model.bin: `os.system(…)`, runs a command"
};

struct Description {
  std::string repo, commit, version;
  std::string library;       ///< the Hub's library_name: "transformers", "diffusers" …; may be empty
  bool is_pipeline = false;  ///< the repository contains a model_index.json
  uint64_t number = 0;       ///< the expected number of the pull request
  std::vector<DescribedFile> files;
  std::vector<std::string> indexes;
  std::vector<std::string> replaced;    ///< those of `indexes` that exist and name files that do not exist
  uint64_t tensors = 0, identical = 0;  ///< identical is 0 before the conversion
  std::vector<convert::Tied> tied;
  std::vector<std::string> unused;                  ///< "epoch (int 3)"
  std::vector<std::string> skipped;                 ///< tensors that safetensors does not support
  std::vector<convert::SkippedFile> skipped_files;  ///< files that were not converted
  NamedInPickles named;
  std::string receipt;  ///< JSON; included if it has at most 16 KiB
};

/// Returns the description as Markdown. Names from the repository are escaped.
std::string to_markdown(const Description& description);

/// Returns `text` as Markdown code on one line, valid inside a table too.
std::string markdown_code(std::string_view text);

}  // namespace depickle::repo
