// One repository at one commit, on its way to safetensors: what convert_repo() and open_pull_request() do their steps
// with.
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

/// Pinned to what the revision stands for at first. Not for several threads.
class Job {
 public:
  Job(const hub::Client& client, const hub::RepoId& repo, const ConvertOptions& options);

  RepoReport& report() noexcept { return report_; }
  const std::string& commit() const noexcept { return info_.commit; }
  bool nothing_to_do() const noexcept { return report_.plan.nothing_to_do(); }

  /// True where an open pull request does the work; it is in the report then.
  bool is_open_already(
      const std::string& author, const std::vector<hub::RepoFile>& converted, std::optional<uint64_t> opened = {});
  /// What the conversion would give, from the tables alone.
  void preview();
  /// Converts into `target`; `work` gets links to the sources, under their names in the repository.
  void convert(const std::filesystem::path& work, const std::filesystem::path& target, convert::Options options);
  /// The pull request's text. `receipt` is nullptr before the conversion.
  void describe(uint64_t number, const convert::Receipt* receipt, const std::string& receipt_text);
  /// Whether the branch is no longer at commit().
  bool has_moved() const;
  std::string branch() const;
  /// Our pull requests on older commits, as is_open_already() last saw them.
  const std::vector<uint64_t>& stale() const noexcept { return stale_; }

 private:
  Plan plan_at(const std::string& commit, const std::vector<hub::RepoFile>& files) const;
  uint64_t preview_file(const convert::ModelFiles::File& file);
  // The working folder is gone when people read this.
  static Error in_repository(const convert::FailedFile& failure, const std::filesystem::path& work);
  static void copy_present(const std::filesystem::path& from, const std::filesystem::path& to);
  void take_scan(scan::Scan scan, const std::string& path);
  static void add_digests(DescribedFile& file, const convert::Receipt& receipt);

  const hub::Client& client_;
  const hub::RepoId& repo_;
  const ConvertOptions& options_;
  convert::Engine& engine_;
  hub::RepoInfo info_;
  std::vector<hub::RepoFile> files_;
  std::map<std::string_view, const hub::RepoFile*> by_path_;
  std::vector<uint64_t> stale_;
  std::set<std::string> inert_;        // globals of the pickles that only build tensors
  std::vector<std::string> findings_;  // what else the pickles would do
  RepoReport report_;
};

}  // namespace depickle::repo
