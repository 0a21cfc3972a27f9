// Plans the conversion of a repository from names, sizes, indexes and first bytes. Downloads and writes nothing.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "depickle/convert/survey.h"
#include "depickle/hub/client.h"

namespace depickle::repo {

/// Paths are relative to the repository's root.
struct Plan : convert::Survey {
  /// Targets of `models` that exist, because a conversion was interrupted. They are compared with the result.
  std::vector<std::string> present;
  uint64_t source_bytes = 0;  ///< of the models

  const Survey& survey() const noexcept { return *this; }
  bool nothing_to_do() const noexcept { return models.empty() && failed.empty(); }
  /// Returns the files that the conversions write, with indexes, without `present`.
  std::vector<std::string> new_files() const;
  /// Returns the files that the conversions read, and `present`.
  std::vector<std::string> needed_files() const;
};

/// What plan() reads. Both functions may throw; an Error{malformed} of an index is part of the plan.
struct PlanReaders {
  weights::ReadIndex read_index;
  std::function<detect::FileKind(const std::string& path)> kind_of = {};  ///< empty: plan by names alone
  convert::EqualTables equal_tables = {};
};

/// Plans what convert::survey() finds. In a pull request a file keeps its name: a pickle called x.safetensors is
/// skipped.
Plan plan(const std::vector<hub::RepoFile>& files, const PlanReaders& readers);

}  // namespace depickle::repo
