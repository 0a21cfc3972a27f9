#include "depickle/hub/commit.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "depickle/base/json.h"
#include "depickle/base/parallel.h"
#include "depickle/base/text.h"
#include "depickle/hub/api.h"
#include "depickle/hub/content.h"
#include "depickle/hub/content_hash.h"
#include "depickle/hub/lfs.h"

namespace depickle::hub {
namespace {

constexpr size_t kFilesPerRequest = 256;
constexpr uint64_t kSampleBytes = 512, kHashBytes = 1 << 20;
// Files above these limits go to the store even if the Hub would accept them inside the commit, which is one request in
// memory.
constexpr uint64_t kMaxInlineBytes = 10 << 20, kMaxInlineTotalBytes = 24 << 20;

struct Item {
  const Addition* addition;
  uint64_t size_bytes = 0;
  bool is_large = false;
  std::string remote_hash = {};  ///< of the present content
  std::string sha256 = {};
  bool is_unchanged = false;
};

class Committer {
 public:
  Committer(const Client& client, const RepoId& repo, std::string_view revision, const CommitRequest& request,
      const Progress& progress)
      : client_(client),
        repo_(repo),
        revision_(revision.empty() ? "main" : revision),
        request_(request),
        progress_(progress),
        about_(hf_address(repo, revision_)) {
    check_revision(revision_);
    for (const Addition& addition : request.additions) {
      check_repo_path(addition.path);
      items_.push_back({&addition, open_content(addition)->size_bytes()});
    }
  }

  CommitResult run() {
    fetch_upload_modes();
    compute_hashes();
    if (!has_changes()) {
      CommitResult result{client_.info(repo_, revision_).commit, {}, {}, true};
      result.url = client_.page(repo_, "commit/" + result.commit);
      return result;
    }
    upload_large_files();
    return send_commit();
  }

 private:
  std::string url(std::string_view verb) const {
    return api_url(client_, repo_,
        fmt::format("/{}/{}{}", verb, escape_segment(revision_), request_.create_pull_request ? "?create_pr=1" : ""));
  }
  void fetch_upload_modes();
  void fetch_upload_modes_of(std::span<Item> items);
  void compute_hashes();
  void compute_hash(Item& item);
  bool has_changes() const;
  void upload_large_files();
  CommitResult send_commit();
  std::string body() const;
  const Client& client_;
  const RepoId& repo_;
  const std::string revision_;
  const CommitRequest& request_;
  const Progress& progress_;
  const std::string about_;
  std::vector<Item> items_;
  std::mutex progress_mutex_;
};

void Committer::fetch_upload_modes() {
  for (size_t begin = 0; begin < items_.size(); begin += kFilesPerRequest)
    fetch_upload_modes_of(std::span(items_).subspan(begin, std::min(kFilesPerRequest, items_.size() - begin)));
  uint64_t inline_bytes = 0;
  for (Item& item : items_) {
    if (!item.is_large) inline_bytes += item.size_bytes;
    if (inline_bytes > kMaxInlineTotalBytes || item.size_bytes > kMaxInlineBytes) item.is_large = item.size_bytes > 0;
  }
}

void Committer::fetch_upload_modes_of(std::span<Item> items) {
  std::string body;
  JsonWriter json(body, JsonWriter::Style::compact);
  json.object().key("files").array();
  for (const Item& item : items) {
    const std::string sample = read_base64(*open_content(*item.addition), 0, std::min(kSampleBytes, item.size_bytes));
    json.object().key("path").value(item.addition->path).key("sample").value(sample);
    json.key("size").value(item.size_bytes).end();
  }
  json.end().end();
  const JsonValue answer = client_.http().json({.method = "POST",
      .url = url("preupload"),
      .about = about_,
      .headers = {"Content-Type: application/json"},
      .body = std::move(body)});
  std::map<std::string, JsonValue> modes;
  for (const JsonValue& file : answer["files"].items()) modes[file["path"].string()] = file;
  for (Item& item : items) {
    const auto found = modes.find(item.addition->path);
    if (found == modes.end()) bad_answer(about_, fmt::format("{} is missing", quoted(item.addition->path)));
    if (found->second["shouldIgnore"].is_true())
      throw Error(Code::unsupported, "", "the repository's .gitignore excludes this file",
          Where::in(hf_address(repo_, revision_, item.addition->path)), "change .gitignore first");
    item.is_large = found->second["uploadMode"].string() == "lfs" && item.size_bytes > 0;
    item.remote_hash = found->second["oid"].string();
  }
}

void Committer::compute_hashes() {
  parallel_for(items_.size(), default_threads(), [&](uint64_t i) { compute_hash(items_[i]); });
}

void Committer::compute_hash(Item& item) {
  const bool is_sha256 = item.is_large || item.remote_hash.size() == 64;
  if (!is_sha256 && item.remote_hash.empty()) return;  // new, and sent inside the commit
  item.sha256 = item.addition->sha256;
  if (is_sha256 && !item.sha256.empty()) {
    item.is_unchanged = item.sha256 == item.remote_hash;
    return;
  }
  const auto content = open_content(*item.addition);
  ContentHash hash(is_sha256 ? std::string(64, '0') : std::string(40, '0'), content->size_bytes());
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kHashBytes);
  for (uint64_t at = 0; at < content->size_bytes();) {
    const MutableBytes out(buffer.get(), std::min(kHashBytes, content->size_bytes() - at));
    content->read(at, out);
    hash.update(out);
    at += out.size();
    if (!progress_) continue;
    std::scoped_lock lock(progress_mutex_);
    progress_({"hash", item.addition->path, at, content->size_bytes()});
  }
  const std::string digest = hash.hex();
  if (is_sha256) item.sha256 = digest;
  item.is_unchanged = digest == item.remote_hash;
}

bool Committer::has_changes() const {
  return !request_.deletions.empty() || items_.empty() ||
         std::ranges::any_of(items_, [](const Item& item) { return !item.is_unchanged; });
}

void Committer::upload_large_files() {
  std::vector<LfsObject> objects;
  for (const Item& item : items_) {
    const bool is_listed = std::ranges::find(objects, item.sha256, &LfsObject::sha256) != objects.end();
    if (item.is_large && !item.is_unchanged && !is_listed)
      objects.push_back({item.addition, item.sha256, item.size_bytes});
  }
  upload_objects(client_, repo_, request_.create_pull_request ? "" : revision_, objects, progress_);
}

// One JSON object per line: the header, then the operations.
std::string Committer::body() const {
  std::string out;
  JsonWriter header(out, JsonWriter::Style::compact);
  header.object().key("key").value("header").key("value").object();
  header.key("summary").value(request_.title).key("description").value(request_.description);
  if (!request_.parent_commit.empty()) header.key("parentCommit").value(request_.parent_commit);
  header.end().end();
  out += '\n';
  for (const Item& item : items_) {
    if (item.is_unchanged) continue;
    JsonWriter json(out, JsonWriter::Style::compact);
    json.object().key("key").value(item.is_large ? "lfsFile" : "file").key("value").object();
    json.key("path").value(item.addition->path);
    if (item.is_large) {
      json.key("algo").value("sha256").key("oid").value(item.sha256).key("size").value(item.size_bytes);
    } else {
      const auto content = open_content(*item.addition);
      json.key("encoding").value("base64").key("content").value(read_base64(*content, 0, content->size_bytes()));
    }
    json.end().end();
    out += '\n';
  }
  for (const Deletion& deletion : request_.deletions) {
    JsonWriter json(out, JsonWriter::Style::compact);
    json.object().key("key").value("deletedFile").key("value").object().key("path").value(deletion.path).end().end();
    out += '\n';
  }
  return out;
}

CommitResult Committer::send_commit() {
  if (progress_) progress_({"commit", repo_.name(), 0, 0});
  const JsonValue answer = client_.http().json({.method = "POST",
      .url = url("commit"),
      .about = about_,
      .headers = {"Content-Type: application/x-ndjson"},
      .body = body(),
      .is_repeatable = false});
  CommitResult result{answer["commitOid"].string(), {}, {}, false};
  if (!is_commit_id(result.commit)) bad_answer(about_, "the commit id is missing");
  if (!request_.create_pull_request) {
    result.url = client_.page(repo_, "commit/" + result.commit);
    return result;
  }
  const std::string page = answer["pullRequestUrl"].string();
  const std::string_view number = std::string_view(page).substr(std::min(page.size(), page.rfind('/') + 1));
  uint64_t value = 0;
  auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (failed != std::errc() || end != number.data() + number.size())
    bad_answer(about_, "the number of the pull request is missing");
  result.pull_request = value;
  result.url = client_.page(repo_, fmt::format("discussions/{}", value));
  return result;
}

}  // namespace

CommitResult commit(const Client& client, const RepoId& repo, std::string_view revision, const CommitRequest& request,
    const Progress& progress) {
  return Committer(client, repo, revision, request, progress).run();
}

}  // namespace depickle::hub
