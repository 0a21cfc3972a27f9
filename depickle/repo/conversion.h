// The conversion of one repository at one commit: the steps of convert_repo() and open_pull_request().
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/convert/receipt.h"
#include "depickle/repo/convert.h"
#include "depickle/repo/description.h"
#include "depickle/scan/scan.h"

namespace depickle::repo {

/// Resolves the revision once, in the constructor. Not thread-safe. Keeps references to its arguments.
class RepoConversion {
 public:
  RepoConversion(const hub::Client& client, const hub::RepoId& repo, const ConvertOptions& options);

  /// Determines the branch that the pull request changes. Throws Error{unsupported} if the revision is a tag or a
  /// commit that is not the head of a branch: its weights could be older than those of the branch.
  void choose_branch();

  RepoReport& report() noexcept { return report_; }
  const std::string& commit() const noexcept { return info_.commit; }
  bool nothing_to_do() const noexcept { return report_.plan.nothing_to_do(); }

  /// Returns true if an open pull request contains the same work, and puts it into the report. One with other files
  /// than `converted` that adds the same models is compared with its base, tensor by tensor, and counts if it is
  /// identical. `converted`: the new files; empty before the conversion.
  bool find_open_request(const std::string& author, const std::vector<hub::RepoFile>& converted);
  /// Does the same for requests with a lower number than `opened`, but compares none.
  bool find_earlier_request(const std::string& author, const std::vector<hub::RepoFile>& converted, uint64_t opened);
  /// Fills the report with the expected result. Reads only the tensors' tables.
  void preview();
  /// Converts into `target`. Links the downloaded sources into `work` under their names in the repository.
  void convert(const std::filesystem::path& work, const std::filesystem::path& target, const convert::Options& options);
  /// Writes the pull request's text into the report. `receipt` is nullptr before the conversion.
  void describe(uint64_t number, const convert::Receipt* receipt, const std::string& receipt_text);
  /// Returns whether the branch has moved away from commit().
  bool has_moved() const;
  const std::string& branch() const noexcept { return branch_; }
  /// Returns the author's pull requests that the new one replaces, as of the last find_open_request().
  const std::vector<uint64_t>& stale() const noexcept { return stale_; }

 private:
  void report_open(PullRequest request);
  bool is_identical(PullRequest& request);
  Plan plan_at(const std::string& commit, const std::vector<hub::RepoFile>& files) const;
  // Replaces the path of the work folder, which is deleted later, by the path in the repository.
  static Error in_repository(const convert::FailedFile& failure, const std::filesystem::path& work);
  static void copy_present(const std::filesystem::path& from, const std::filesystem::path& to);
  void add_scan(scan::Scan scan, const std::string& path);
  static void add_digests(DescribedFile& file, const convert::Receipt& receipt);

  const hub::Client& client_;
  const hub::RepoId& repo_;
  const ConvertOptions& options_;
  convert::Engine& engine_;
  hub::RepoInfo info_;
  std::string branch_;
  std::vector<hub::RepoFile> files_;
  std::map<std::string_view, const hub::RepoFile*> by_path_;
  std::vector<uint64_t> stale_;
  std::set<std::string> inert_;        // globals that only build tensors and plain containers
  std::vector<std::string> findings_;  // everything else that loading the pickles would execute
  RepoReport report_;
};

}  // namespace depickle::repo
