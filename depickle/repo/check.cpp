#include "depickle/repo/check.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/hub/download.h"
#include "depickle/repo/engine.h"
#include "depickle/repo/previous.h"
#include "depickle/repo/remote.h"
#include "depickle/weights/pick.h"

namespace depickle::repo {
namespace {

constexpr size_t kMaxRequestCommits = 250;

std::set<std::string> names_of(const std::vector<hub::RepoFile>& files) {
  std::set<std::string> names;
  for (const hub::RepoFile& file : files) names.insert(file.path);
  return names;
}

// The files of one commit. Opened files stay open, so that opening one again costs no request.
class Tree {
 public:
  Tree(const hub::Client& client, const hub::RepoId& repo, std::string commit)
      : client_(client),
        repo_(repo),
        commit_(std::move(commit)),
        files_(client.files(repo, commit_)),
        names_(names_of(files_)),
        indexes_(names_, [this](const std::string& path) { return read_index(client_, repo_, commit_, path); }) {
    for (const hub::RepoFile& file : files_) by_path_.emplace(file.path, &file);
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  const std::vector<hub::RepoFile>& files() const noexcept { return files_; }
  const std::set<std::string>& names() const noexcept { return names_; }
  weights::Indexes& indexes() noexcept { return indexes_; }
  const hub::RepoFile* find(const std::string& path) const {
    auto found = by_path_.find(path);
    return found == by_path_.end() ? nullptr : found->second;
  }

  std::shared_ptr<const ByteSource> open(const std::string& path) {
    if (!find(path)) return nullptr;
    auto& source = sources_[path];
    if (!source) source = open_source(client_, repo_, commit_, path);
    return source;
  }

  // Downloads files into the cache; open() then maps them.
  void download(const std::vector<std::string>& paths, const Progress& progress) {
    std::vector<hub::RepoFile> wanted;
    for (const std::string& path : paths) {
      if (const hub::RepoFile* file = find(path)) wanted.push_back(*file);
      sources_.erase(path);
    }
    hub::download_files(client_, repo_, commit_, wanted, progress);
  }

 private:
  const hub::Client& client_;
  const hub::RepoId& repo_;
  std::string commit_;
  const std::vector<hub::RepoFile> files_;
  const std::set<std::string> names_;
  weights::Indexes indexes_;
  std::map<std::string_view, const hub::RepoFile*> by_path_;
  std::map<std::string, std::shared_ptr<const ByteSource>> sources_;
};

class Checker {
 public:
  Checker(const hub::Client& client, const hub::RepoId& repo, const CheckOptions& options)
      : client_(client),
        repo_(repo),
        options_(options) {}

  Check run(uint64_t number) {
    const hub::DiscussionDetails details = hub::discussion(client_, repo_, number);
    check_.discussion = static_cast<const hub::Discussion&>(details);
    if (!details.is_pull_request)
      throw Error(Code::not_found, "", fmt::format("#{} is a discussion, not a pull request", number),
          Where::in(repo_.name()), fmt::format("depickle pr list {} shows the pull requests", repo_.name()));
    find_commits(details);
    Tree before(client_, repo_, check_.base), after(client_, repo_, check_.head);
    check_.files = tree_diff(before.files(), after.files());
    for (FileChange& file : check_.files)
      file.replaces_unusable_index = file.kind == FileChange::Kind::index &&
                                     file.change == FileChange::Change::changed &&
                                     !before.indexes().is_loadable(file.path);
    const std::vector<ModelPair> pairs =
        pair_models(check_.files, {before.names(), before.indexes()}, {after.names(), after.indexes()});
    for (const ModelPair& pair : pairs) compare(pair, before, after);
    note_other_layouts(pairs, after);
    if (is_open() && branch_head_ != check_.base) check_branch_head(pairs, before);
    note_pipeline(after);
    return std::move(check_);
  }

 private:
  bool is_open() const {
    return check_.discussion.status == hub::DiscussionStatus::open ||
           check_.discussion.status == hub::DiscussionStatus::draft;
  }

  void find_commits(const hub::DiscussionDetails& details) {
    const std::string branch = target_branch(details);
    const std::vector<hub::Commit> branch_log = client_.commits(repo_, branch, kMaxBranchCommits);
    const std::vector<hub::Commit> log = client_.commits(repo_, details.revision(), kMaxRequestCommits);
    const std::optional<std::string> base = merge_base(log, branch_log);
    if (!base)
      throw Error(Code::unsupported, "",
          fmt::format("the pull request shares no commit with {} (in its last {})", branch, kMaxBranchCommits),
          Where::in(hub::hf_address(repo_, details.revision())));
    check_.base = *base;
    check_.head = log.front().id;
    branch_head_ = branch_log.front().id;
  }

  void compare(const ModelPair& pair, Tree& before, Tree& after) {
    using Kind = TensorFinding::Kind;
    const std::string& entry = pair.safetensors.entry;
    if (!pair.safetensors.problem.empty())
      return check_.tensors.push_back({Kind::index, entry, "", pair.safetensors.problem});
    if (!pair.pickle.problem.empty())
      return check_.tensors.push_back({Kind::unmatched, entry, "", pair.pickle.problem});
    std::optional<safetensors::Index> index;
    if (detect::is_index_name(pair.safetensors.entry)) {
      try {
        index = after.indexes().at(pair.safetensors.entry);
      } catch (const Error& error) {
        if (error.code() != Code::malformed && error.code() != Code::limit) throw;
        check_.notes.push_back(error.what());
      }
    }
    auto compare_into = [&](Check& check) {
      const OpenFile open_before = [&](const std::string& path) { return before.open(path); };
      const OpenFile open_after = [&](const std::string& path) { return after.open(path); };
      const safetensors::Index* parsed = index ? &*index : nullptr;
      Engine& engine = options_.engine ? *options_.engine : local_engine();
      engine.check_model(check, pair, parsed, open_before, open_after, options_);
    };
    Check attempt = check_;
    try {
      compare_into(attempt);
    } catch (const Error& error) {
      if (error.code() != Code::limit) throw;
      // Strided tensors need their whole storage in memory or on disk; a remote source offers only ranges.
      before.download(pair.pickle.shards, options_.progress);
      attempt = check_;
      compare_into(attempt);
    }
    check_ = std::move(attempt);
  }

  // Adds a finding for each pickle that has changed on the branch since the base.
  void check_branch_head(const std::vector<ModelPair>& pairs, const Tree& before) {
    const Tree now(client_, repo_, branch_head_);
    for (const ModelPair& pair : pairs) {
      std::vector<std::string> parts = pair.pickle.shards;
      if (!pair.pickle.entry.empty()) parts.push_back(pair.pickle.entry);
      for (const std::string& path : parts) {
        const hub::RepoFile* then_file = before.find(path);
        const hub::RepoFile* now_file = now.find(path);
        if (!then_file || !now_file || then_file->etag() == now_file->etag()) continue;
        check_.tensors.push_back({TensorFinding::Kind::stale, pair.safetensors.entry, "",
            fmt::format("{} has changed on the branch since; after a merge, the new file would not match it",
                printable(path))});
        break;
      }
    }
    check_.notes.push_back(fmt::format(
        "the branch has new commits; the pull request was compared with its base {}", check_.base.substr(0, 8)));
  }

  // Notes models for which libraries open another file than the compared one, which the pull request does not change.
  void note_other_layouts(const std::vector<ModelPair>& pairs, const Tree& after) {
    std::set<std::string_view> compared;
    for (const ModelPair& pair : pairs) compared.insert(pair.safetensors.entry);
    for (const weights::StandardModel& model : weights::standard_models(after.names())) {
      const std::string& loaded = model.entry(model.safetensors);
      const std::string& other =
          loaded == model.safetensors.single ? model.safetensors.index : model.safetensors.single;
      if (loaded.empty() || compared.contains(loaded) || other.empty() || !compared.contains(other)) continue;
      check_.notes.push_back(fmt::format("libraries load {}, which the pull request does not change, and not {}",
          printable(loaded), printable(other)));
    }
  }

  void note_pipeline(Tree& after) {
    const auto source = after.open("model_index.json");
    if (!source || source->size_bytes() > 1'000'000) return;
    std::string text(source->size_bytes(), '\0');
    source->read(0, std::as_writable_bytes(std::span(text)));
    const std::vector<std::string> names(after.names().begin(), after.names().end());
    try {
      for (const weights::ModelFile& model : weights::pick(names, text).models)
        if (model.is_pickle)
          check_.notes.push_back(fmt::format("diffusers would still load the pickle {}", printable(model.path)));
    } catch (const Error& error) {
      if (error.code() != Code::not_found && error.code() != Code::malformed) throw;
    }
  }

  const hub::Client& client_;
  const hub::RepoId& repo_;
  const CheckOptions& options_;
  std::string branch_head_;
  Check check_;
};

// "modeling.py", "config.json and 2 other files".
std::string list_of(const std::vector<const FileChange*>& files) {
  std::string text = printable(files.front()->path);
  if (files.size() == 2) return fmt::format("{} and {}", text, printable(files[1]->path));
  return files.size() > 2 ? fmt::format("{} and {}", text, plural(files.size() - 1, "other file")) : text;
}

// "changes config.json, and deletes README.md": the changes that a conversion does not make.
std::string unexpected_changes(const std::vector<FileChange>& changes) {
  using Change = FileChange::Change;
  std::string text;
  for (auto [change, verb] : std::array<std::pair<Change, const char*>, 3>{
           {{Change::added, "adds"}, {Change::changed, "changes"}, {Change::deleted, "deletes"}}}) {
    std::vector<const FileChange*> files;
    for (const FileChange& file : changes)
      if (file.change == change && !file.is_expected()) files.push_back(&file);
    if (!files.empty()) text += fmt::format("{}{} {}", text.empty() ? "" : ", and ", verb, list_of(files));
  }
  return text;
}

std::string first_finding(const TensorFinding& finding) {
  const std::string tensor = finding.tensor.empty() ? "" : fmt::format("tensor {}: ", quoted(finding.tensor));
  return fmt::format("{}: {}{}", printable(finding.file), tensor, finding.what);
}

}  // namespace

std::string_view name(TensorFinding::Kind kind) noexcept {
  constexpr std::array<std::string_view, 13> kNames = {"different", "swapped", "renamed", "dtype", "shape", "missing",
      "extra", "alias", "index", "repeated", "unmatched", "unreadable", "stale"};
  return kNames[static_cast<size_t>(kind)];
}

std::string_view name(Check::Verdict verdict) noexcept {
  constexpr std::array<std::string_view, 4> kNames = {
      "identical", "different", "more-than-weights", "nothing-to-compare"};
  return kNames[static_cast<size_t>(verdict)];
}

Check::Verdict Check::verdict() const noexcept {
  if (!tensors.empty() || identical != compared) return Verdict::different;
  if (!std::ranges::all_of(files, &FileChange::is_expected)) return Verdict::more_than_weights;
  return compared == 0 ? Verdict::nothing_to_compare : Verdict::identical;
}

std::string Check::sentence() const {
  const std::string more = unexpected_changes(files);
  const std::string also = more.empty() ? "" : fmt::format(" It also {}.", more);
  const std::string all =
      compared == 1 ? "its 1 tensor is identical" : fmt::format("all {} are identical", plural(compared, "tensor"));
  switch (verdict()) {
    case Verdict::identical: return fmt::format("It adds only weights, and {} to the pickle's.", all);
    case Verdict::more_than_weights:
      if (compared == 0) return fmt::format("It adds no weights that could be compared, but {}.", more);
      return fmt::format("It does more than add weights: it {}; {} to the pickle's.", more, all);
    case Verdict::different:
      if (identical == compared)
        return fmt::format("{}: {}.{}",
            compared == 0 ? "It could not be compared" : "All tensors are identical, but it must not be merged",
            first_finding(tensors.front()), also);
      return fmt::format("{} of {} identical to the pickle's: do not merge it.{}", grouped(identical),
          plural(compared, "tensor"), also);
    case Verdict::nothing_to_compare: return "It adds no weights: there is nothing to compare.";
  }
  return {};
}

Check check(const hub::Client& client, const hub::RepoId& repo, uint64_t number, const CheckOptions& options) {
  return Checker(client, repo, options).run(number);
}

}  // namespace depickle::repo
