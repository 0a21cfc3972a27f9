#include "depickle/repo/conversion.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/hub/download.h"
#include "depickle/os/mapped_file.h"
#include "depickle/repo/check.h"
#include "depickle/repo/files.h"
#include "depickle/repo/remote.h"

namespace depickle::repo {

namespace fs = std::filesystem;

RepoConversion::RepoConversion(const hub::Client& client, const hub::RepoId& repo, const ConvertOptions& options)
    : client_(client),
      repo_(repo),
      options_(options),
      engine_(options.convert.engine ? *options.convert.engine : convert::local_engine()),
      branch_(options.revision.empty() ? "main" : options.revision) {
  info_ = client.info(repo, options.revision);
  report_.repo = repo.name();
  report_.commit = info_.commit;
  report_.title = kTitle;
  files_ = client.files(repo, info_.commit);  // not hub::list_commit(): a plan does not write to the cache
  for (const hub::RepoFile& file : files_) by_path_.emplace(file.path, &file);
  report_.plan = plan_at(info_.commit, files_);
}

void RepoConversion::choose_branch() {
  const std::string& revision = options_.revision;
  if (revision.empty()) return;
  const hub::Refs refs = client_.refs(repo_);
  if (std::ranges::find(refs.branches, revision, &hub::Ref::name) != refs.branches.end()) return;
  std::vector<std::string> heads;
  for (const hub::Ref& branch : refs.branches)
    if (branch.commit == info_.commit) heads.push_back(branch.name);
  if (heads.empty())
    throw Error(Code::unsupported, "",
        fmt::format("{} is not the newest commit of a branch, and a pull request could bring old weights into one",
            printable(revision)),
        Where::in(repo_.name()), fmt::format("name a branch: {}@main", repo_.name()));
  branch_ = std::ranges::find(heads, "main") == heads.end() ? heads.front() : "main";
}

void RepoConversion::report_open(PullRequest request) {
  report_.outcome = Outcome::already_open;
  report_.pull_request = request.discussion.number;
  report_.url = client_.page(repo_, fmt::format("discussions/{}", request.discussion.number));
  report_.previous = {std::move(request)};
}

// Compares the pull request with its base. If they differ, or cannot be compared, the remark says why.
bool RepoConversion::is_identical(PullRequest& request) {
  try {
    const Check found = check(client_, repo_, request.discussion.number,
        {.threads = options_.convert.threads, .progress = options_.progress, .engine = options_.checker});
    if (found.passed()) return true;
    request.remark = found.sentence();
  } catch (const Error& error) {
    if (error.code() == Code::network || error.code() == Code::denied || error.code() == Code::cancelled) throw;
    request.remark = error.what();
  }
  return false;
}

bool RepoConversion::find_open_request(const std::string& author, const std::vector<hub::RepoFile>& converted) {
  const Intent intent{.commit = info_.commit,
      .author = author,
      .files = files_,
      .new_files = report_.plan.new_files(),
      .converted = converted};
  stale_.clear();
  report_.previous.clear();
  for (PullRequest& request :
      open_pull_requests(client_, repo_, branch_, client_.commits(repo_, branch_, kMaxBranchCommits))) {
    const Relation found = relation(request, plan_at(request.head, request.files), intent);
    if (found == Relation::same || (found == Relation::candidate && is_identical(request)))
      return report_open(std::move(request)), true;
    if (found == Relation::stale || (found == Relation::candidate && is_own(request.discussion, author)))
      stale_.push_back(request.discussion.number);
    if (found == Relation::candidate || found == Relation::part) report_.previous.push_back(std::move(request));
  }
  return false;
}

bool RepoConversion::find_earlier_request(
    const std::string& author, const std::vector<hub::RepoFile>& converted, uint64_t opened) {
  const Intent intent{
      .commit = info_.commit, .author = author, .files = files_, .new_files = {}, .converted = converted};
  for (PullRequest& request :
      open_pull_requests(client_, repo_, branch_, client_.commits(repo_, branch_, kMaxBranchCommits))) {
    if (request.discussion.number >= opened || relation(request, {}, intent) != Relation::same) continue;
    return report_open(std::move(request)), true;
  }
  return false;
}

void RepoConversion::preview() {
  std::map<std::string, std::shared_ptr<const ByteSource>> sources;
  auto open = [&](const std::string& path) {
    auto& source = sources[path];
    if (!source) source = open_source(client_, repo_, info_.commit, path);
    return source;
  };
  report_.report = convert::dry_run_survey(
      report_.plan.survey(), [&](const fs::path& path) { return weights::Model{.entry = open(path.string())}; },
      options_.convert, options_.progress);
  for (const convert::FileReport& file : report_.report.files)
    add_scan(engine_.scan_file(open(file.source.string())), file.source.string());
  report_.outcome = report_.report.failed.empty() ? Outcome::planned : Outcome::failed;
}

void RepoConversion::convert(const fs::path& work, const fs::path& target, const convert::Options& options) {
  const std::vector<std::string> needed = report_.plan.needed_files();
  std::vector<hub::RepoFile> wanted;
  for (const std::string& path : needed) wanted.push_back(*by_path_.at(path));
  const hub::Snapshot snapshot = hub::download_files(
      client_, repo_, info_.commit, wanted, options_.progress, hub::is_commit_id(options_.revision) ? "" : branch_);
  report_.downloaded_bytes += snapshot.downloaded_bytes;
  for (const std::string& path : needed) {
    create_folder((work / path).parent_path());
    link_to(snapshot.folder / path, work / path);
  }
  if (target != work)
    for (const std::string& path : report_.plan.present) copy_present(work / path, target / path);
  report_.report = convert::convert_survey(report_.plan.survey(), work, target, options, options_.progress);
  for (convert::FailedFile& failure : report_.report.failed) failure.error = in_repository(failure, work);
  for (convert::FileReport& file : report_.report.files) {
    add_scan(engine_.scan_file(os::MappedFile::open(file.source)), file.source.lexically_relative(work).string());
    file.source = file.source.lexically_relative(work);
    file.target = file.target.lexically_relative(target);
  }
  for (convert::IndexReport& index : report_.report.indexes) {
    index.source = index.source.lexically_relative(work);
    index.target = index.target.lexically_relative(target);
  }
  if (!report_.report.failed.empty()) report_.outcome = Outcome::failed;
  if (report_.report.failed.empty() && report_.report.files.empty() && report_.report.indexes.empty())
    report_.outcome = Outcome::nothing_to_do;
}

void RepoConversion::describe(uint64_t number, const convert::Receipt* receipt, const std::string& receipt_text) {
  Description d{.repo = repo_.name(),
      .commit = info_.commit,
      .version = options_.version,
      .library = info_.library_name,
      .number = number};
  d.is_pipeline = by_path_.contains("model_index.json");
  d.receipt = receipt_text;
  d.skipped_files = report_.report.skipped;
  for (const convert::FileReport& file : report_.report.files) {
    DescribedFile described{
        .target = file.target.string(), .source = file.source.string(), .target_bytes = file.file_bytes};
    described.source_bytes = by_path_.at(described.source)->size_bytes;
    described.source_sha256 = by_path_.at(described.source)->sha256;
    if (receipt) add_digests(described, *receipt);
    d.files.push_back(std::move(described));
    d.tensors += file.tensors;
    d.identical += file.identical;
    d.tied.insert(d.tied.end(), file.tied.begin(), file.tied.end());
    for (const Unused& unused : file.unused)
      d.unused.push_back(fmt::format("{} ({})", unused.path, unused.description));
    for (const Unsupported& tensor : file.unsupported)
      d.skipped.push_back(fmt::format("{} ({})", tensor.name, tensor.what));
  }
  for (const convert::IndexReport& index : report_.report.indexes) d.indexes.push_back(index.target.string());
  for (const convert::ModelFiles& model : report_.plan.models)
    if (model.replaces_index) d.replaced.push_back(model.target_index.string());
  d.named.inert.assign(inert_.begin(), inert_.end());
  d.named.findings = findings_;
  report_.description = to_markdown(d);
}

bool RepoConversion::has_moved() const { return client_.info(repo_, branch_).commit != info_.commit; }

Plan RepoConversion::plan_at(const std::string& commit, const std::vector<hub::RepoFile>& files) const {
  return plan(files, {.read_index = [&](const std::string& path) { return read_index(client_, repo_, commit, path); },
                         .kind_of = [&](const std::string& path) { return kind_of(client_, repo_, commit, path); },
                         .equal_tables =
                             [&](const std::vector<std::string>& pickles, const std::string& safetensors) {
                               auto open = [&](const fs::path& path) {
                                 return weights::Model{.entry = open_source(client_, repo_, commit, path.string())};
                               };
                               return convert::has_equal_tables(engine_, open, pickles, safetensors);
                             }});
}

Error RepoConversion::in_repository(const convert::FailedFile& failure, const fs::path& work) {
  const Error& error = failure.error;
  Where where = error.where();
  if (where.file.starts_with(work.string())) where.file = fs::path(where.file).lexically_relative(work).string();
  return error.at(std::move(where));
}

void RepoConversion::copy_present(const fs::path& from, const fs::path& to) {
  std::error_code ignored;
  if (fs::exists(to, ignored)) return;
  copy_new_file(from, to);
}

void RepoConversion::add_scan(scan::Scan scan, const std::string& path) {
  for (const scan::NamedGlobal& global : scan.globals)
    if (global.inert) inert_.insert(global.name);
  for (const scan::Finding& finding : scan.findings)
    findings_.push_back(fmt::format("{}: {}, {}", path, finding.what, finding.effect));
  report_.scans.push_back({path, std::move(scan)});
}

void RepoConversion::add_digests(DescribedFile& file, const convert::Receipt& receipt) {
  for (const convert::Conversion& conversion : receipt.conversions) {
    if (conversion.target.path != file.target) continue;
    file.target_sha256 = conversion.target.sha256;
    if (!conversion.sources.empty()) file.source_sha256 = conversion.sources.front().sha256;
  }
}

}  // namespace depickle::repo
