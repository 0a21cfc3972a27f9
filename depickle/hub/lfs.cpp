#include "depickle/hub/lfs.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>

#include <fmt/format.h>

#include "depickle/base/json.h"
#include "depickle/base/parallel.h"
#include "depickle/base/text.h"
#include "depickle/hub/content.h"
#include "depickle/hub/http.h"
#include "depickle/hub/url.h"

namespace depickle::hub {
namespace {

constexpr size_t kObjectsPerRequest = 256, kMaxParts = 10'000;
constexpr std::string_view kLfsJson = "application/vnd.git-lfs+json";

// One PUT request: of an object or of a part of it.
struct Piece {
  size_t object;
  std::string url;
  uint64_t offset, length;
  std::string etag = {};
  uint64_t sent_bytes = 0;
};

struct Upload {
  std::vector<std::string> headers;
  std::string completion_url;  ///< empty unless the object is sent in parts
  std::string verify_url;
};

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t number = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return {};
  return number;
}

class Batch {
 public:
  Batch(const Client& client, const RepoId& repo, std::span<const LfsObject> objects, const Progress& progress)
      : client_(client),
        repo_(repo),
        objects_(objects),
        progress_(progress),
        uploads_(objects.size()),
        sent_bytes_(objects.size()) {}

  void request_uploads(std::string_view branch);
  void send();
  void finish();

 private:
  std::string about(size_t object) const { return hf_address(repo_, {}, objects_[object].addition->path); }
  std::string url_in(const JsonValue& href, size_t object) const;
  void read_object(const JsonValue& json);
  void plan_parts(const JsonValue& header, uint64_t chunk_bytes, size_t object);
  void send_piece(Piece& piece);
  void report(Piece& piece, uint64_t sent_bytes);
  const Client& client_;
  const RepoId& repo_;
  const std::span<const LfsObject> objects_;
  const Progress& progress_;
  std::vector<Upload> uploads_;
  std::vector<Piece> pieces_;
  std::mutex mutex_;
  std::vector<uint64_t> sent_bytes_;  ///< by object
};

void Batch::request_uploads(std::string_view branch) {
  std::string body;
  JsonWriter json(body, JsonWriter::Style::compact);
  json.object().key("operation").value("upload").key("transfers").array().value("basic").value("multipart").end();
  json.key("objects").array();
  for (const LfsObject& object : objects_)
    json.object().key("oid").value(object.sha256).key("size").value(object.size_bytes).end();
  json.end().key("hash_algo").value("sha256");
  if (!branch.empty()) json.key("ref").object().key("name").value(branch).end();
  json.end();
  const JsonValue answer = client_.http().json({.method = "POST",
      .url = fmt::format("{}{}.git/info/lfs/objects/batch", client_.settings().endpoint, repo_.page_path()),
      .about = hf_address(repo_, {}),
      .headers = {fmt::format("Accept: {}", kLfsJson), fmt::format("Content-Type: {}", kLfsJson)},
      .body = std::move(body)});
  const std::vector<JsonValue> items = answer["objects"].items();
  if (items.size() != objects_.size()) bad_answer(hf_address(repo_, {}), "it describes other objects");
  for (const JsonValue& item : items) read_object(item);
}

std::string Batch::url_in(const JsonValue& href, size_t object) const {
  std::optional<std::string> url = join_url(client_.settings().endpoint + "/", href.string());
  if (!url) bad_answer(about(object), "an upload URL is missing");
  return *url;
}

void Batch::read_object(const JsonValue& json) {
  const auto found = std::ranges::find(objects_, json["oid"].string(), &LfsObject::sha256);
  if (found == objects_.end()) bad_answer(hf_address(repo_, {}), "it describes other objects");
  const auto object = static_cast<size_t>(found - objects_.begin());
  if (json["error"].is_object()) {
    Response response;
    response.status = static_cast<int>(std::min<uint64_t>(json["error"]["code"].number().value_or(500), 999));
    response.body = json["error"]["message"].string();
    throw make_failure(response, about(object), !client_.settings().token.empty());
  }
  const JsonValue upload = json["actions"]["upload"];
  if (!upload.is_object()) return;  // the store has the object
  Upload& plan = uploads_[object];
  const std::string href = url_in(upload["href"], object);
  if (json["actions"]["verify"].is_object()) plan.verify_url = url_in(json["actions"]["verify"]["href"], object);
  const JsonValue header = upload["header"];
  if (const std::string chunk = header["chunk_size"].string(); !chunk.empty()) {
    plan.completion_url = href;
    plan_parts(header, parse_number(chunk).value_or(0), object);
    return;
  }
  for (const auto& [name, value] : header.members()) {
    if (const std::string text = value.string(); !text.empty())
      plan.headers.push_back(fmt::format("{}: {}", name, text));
  }
  pieces_.push_back({object, href, 0, objects_[object].size_bytes});
}

// `header` contains `chunk_size` and the URL of each part by its number.
void Batch::plan_parts(const JsonValue& header, uint64_t chunk_bytes, size_t object) {
  std::map<uint64_t, std::string> urls;
  for (const auto& [name, value] : header.members()) {
    if (const std::optional<uint64_t> number = parse_number(name)) urls[*number] = url_in(value, object);
  }
  const uint64_t size_bytes = objects_[object].size_bytes;
  const uint64_t parts = chunk_bytes == 0 ? 0 : size_bytes / chunk_bytes + (size_bytes % chunk_bytes != 0);
  if (parts == 0 || parts > kMaxParts || urls.size() != parts || urls.begin()->first != 1 ||
      urls.rbegin()->first != parts)
    bad_answer(about(object), fmt::format("the parts do not match the size (have {} of {} bytes, need {} bytes)",
                                  plural(urls.size(), "part"), chunk_bytes, size_bytes));
  for (const auto& [number, url] : urls) {
    const uint64_t offset = (number - 1) * chunk_bytes;
    pieces_.push_back({object, url, offset, std::min(chunk_bytes, size_bytes - offset)});
  }
}

void Batch::report(Piece& piece, uint64_t sent_bytes) {
  if (!progress_) return;
  std::scoped_lock lock(mutex_);
  sent_bytes_[piece.object] += sent_bytes - piece.sent_bytes;
  piece.sent_bytes = sent_bytes;
  const LfsObject& object = objects_[piece.object];
  progress_({"upload", object.addition->path, sent_bytes_[piece.object], object.size_bytes});
}

void Batch::send_piece(Piece& piece) {
  const LfsObject& object = objects_[piece.object];
  const auto content = open_content(*object.addition);
  if (content->size_bytes() != object.size_bytes)
    throw Error(Code::integrity, "", "the file changed during the upload", Where::in(object.addition->path));
  const Response response = client_.http().send({.method = "PUT",
      .url = piece.url,
      .about = about(piece.object),
      .headers = uploads_[piece.object].headers,
      .file = FileRange{content->descriptor(), piece.offset, piece.length},
      .is_anonymous = true,
      .on_sent = [&](uint64_t sent_bytes) { report(piece, sent_bytes); }});
  piece.etag = response.header("etag");
  if (!uploads_[piece.object].completion_url.empty() && piece.etag.empty())
    bad_answer(about(piece.object), "the ETag of a part is missing");
}

void Batch::send() {
  parallel_for(
      pieces_.size(), std::max(client_.settings().connections, 1u), [&](uint64_t i) { send_piece(pieces_[i]); });
}

// Completes the uploads in parts, and asks the Hub to verify the objects.
void Batch::finish() {
  std::vector<std::string> parts(objects_.size());
  std::vector<uint64_t> numbers(objects_.size());
  for (const Piece& piece : pieces_) {
    std::string& list = parts[piece.object];
    if (!list.empty()) list += ',';
    JsonWriter(list, JsonWriter::Style::compact)
        .object()
        .key("partNumber")
        .value(++numbers[piece.object])
        .key("etag")
        .value(piece.etag)
        .end();
  }
  const std::vector<std::string> headers{
      fmt::format("Accept: {}", kLfsJson), fmt::format("Content-Type: {}", kLfsJson)};
  for (size_t i = 0; i < objects_.size(); ++i) {
    Request request{.method = "POST", .about = about(i), .headers = headers};
    if (!uploads_[i].completion_url.empty()) {
      request.url = uploads_[i].completion_url;
      request.is_anonymous = true;
      request.body = fmt::format(R"({{"oid":"{}","parts":[{}]}})", objects_[i].sha256, parts[i]);
      client_.http().send(request);
    }
    if (!uploads_[i].verify_url.empty()) {
      request.url = uploads_[i].verify_url;
      request.is_anonymous = false;
      request.body = fmt::format(R"({{"oid":"{}","size":{}}})", objects_[i].sha256, objects_[i].size_bytes);
      client_.http().send(request);
    }
  }
}

}  // namespace

void upload_objects(const Client& client, const RepoId& repo, std::string_view branch,
    std::span<const LfsObject> objects, const Progress& progress) {
  while (!objects.empty()) {
    const auto batch_objects = objects.first(std::min(objects.size(), kObjectsPerRequest));
    Batch batch(client, repo, batch_objects, progress);
    batch.request_uploads(branch);
    batch.send();
    batch.finish();
    objects = objects.subspan(batch_objects.size());
  }
}

}  // namespace depickle::hub
