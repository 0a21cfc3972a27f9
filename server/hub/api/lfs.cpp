// LFS: the batch endpoint and the signed addresses that it returns.
#include <charconv>

#include <fmt/format.h>

#include "server/http/target.h"
#include "server/hub/api/call.h"

namespace depickle::server::api {
namespace {

constexpr std::string_view kLfsJson = "application/vnd.git-lfs+json";
constexpr size_t kMaxObjects = 1000;
constexpr uint64_t kPartsFromBytes = 100 << 20, kPartBytes = 32 << 20, kMaxParts = 9'999;
constexpr uint64_t kHrefSeconds = uint64_t{24} * 3600;

// The permission in an address. All members are signed: whoever has the address may use it.
struct Ticket {
  std::string action;  ///< "upload", "parts", "download"
  std::string oid;
  uint64_t size_bytes = 0;
  uint64_t part_bytes = 0;
  std::string user;  ///< empty: anonymous, for a download
  std::string repo;  ///< "models/me/demo", for a download
  uint64_t expires = 0;

  std::string text() const {
    return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}", action, oid, size_bytes, part_bytes, user, repo, expires);
  }
  std::string query(const Signer& signer) const {
    return fmt::format("?action={}&size={}&chunk={}&user={}&repo={}&expires={}&signature={}", action, size_bytes,
        part_bytes, user, http::percent_encoded(repo, false), expires, signer.signature(text()));
  }
};

uint64_t number_in(const http::Request& request, std::string_view name) {
  std::string text = request.query(name).value_or("");
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Reads the ticket of an address. Throws 403 if the signature is wrong, the action is another, or the ticket has
// expired.
Ticket ticket_of(Hub& hub, const http::Request& request, std::string_view action) {
  Ticket ticket{.action = request.query("action").value_or(""),
      .oid = request.captured("oid"),
      .size_bytes = number_in(request, "size"),
      .part_bytes = number_in(request, "chunk"),
      .user = request.query("user").value_or(""),
      .repo = request.query("repo").value_or(""),
      .expires = number_in(request, "expires")};
  bool is_signed = hub.signer.is_valid(ticket.text(), request.query("signature").value_or(""));
  if (!is_signed || ticket.action != action) refuse(403, "Forbidden", "the signature of this address is not valid");
  if (unix_now() >= ticket.expires) refuse(403, "Forbidden", "this address has expired, request a new one");
  return ticket;
}

void write_upload(JsonWriter& json, const Call& call, Ticket ticket, bool may_split) {
  std::string base = call.origin() + "/lfs/" + ticket.oid;
  bool split = may_split && ticket.size_bytes > kPartsFromBytes;
  ticket.action = split ? "parts" : "upload";
  if (split) ticket.part_bytes = std::max(kPartBytes, (ticket.size_bytes + kMaxParts - 1) / kMaxParts);
  std::string query = ticket.query(call.hub.signer);
  json.key("authenticated").value(true).key("actions").object().key("upload").object();
  json.key("href").value(base + (split ? "/complete" : "") + query).key("header").object();
  if (split) {
    json.key("chunk_size").value(std::to_string(ticket.part_bytes));
    uint64_t parts = (ticket.size_bytes + ticket.part_bytes - 1) / ticket.part_bytes;
    for (uint64_t part = 1; part <= parts; ++part)
      json.key(fmt::format("{:05}", part)).value(fmt::format("{}/parts/{}{}", base, part, query));
  }
  json.end().end();
  // The signature is sufficient to verify an upload. (git-lfs and huggingface_hub send their token, too.)
  json.key("verify").object().key("href").value(base + "/verify" + query).key("header").object().end().end().end();
}

void write_error(JsonWriter& json, uint64_t code, std::string_view message) {
  json.key("error").object().key("code").value(code).key("message").value(message).end();
}

bool is_oid(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Returns whether the object's size requires an upload in parts.
bool write_upload_object(
    JsonWriter& json, const Call& call, const repos::RepoInfo& info, Ticket ticket, bool may_split) {
  if (ticket.size_bytes > call.hub.store.limits().lfs_file_bytes) {
    write_error(json, 413, "the file is too large for this Hub");
    return false;
  }
  bool is_split = may_split && ticket.size_bytes > kPartsFromBytes;
  if (!call.hub.store.lfs().usable(ticket.user, info.key, ticket.oid)) {
    write_upload(json, call, std::move(ticket), may_split);
  }
  return is_split;
}

void write_download_object(JsonWriter& json, const Call& call, const repos::RepoInfo& info, Ticket ticket) {
  if (!call.hub.store.lfs().readable(info.key, ticket.oid, ticket.user)) {
    return write_error(json, 404, "the repository does not contain this object");
  }
  ticket.action = "download";
  ticket.repo = std::string(repos::plural(info.id.type)) + "/" + info.id.full();
  json.key("actions").object().key("download").object();
  json.key("href").value(call.origin() + "/lfs/" + ticket.oid + ticket.query(call.hub.signer)).end().end();
}

http::Response batch(const Call& call) {
  JsonValue body = call.body();
  bool is_upload = body["operation"].text() == "upload";
  repos::RepoInfo info = call.repo_for(is_upload ? Need::discuss : Need::read);
  bool may_split = false;
  for (const JsonValue& transfer : body["transfers"].items()) may_split |= transfer.text() == "multipart";
  if (body["objects"].items().size() > kMaxObjects) refuse(413, "TooLarge", "too many objects (at most 1000)");
  bool any_split = false;
  std::string objects;
  JsonWriter json(objects, JsonWriter::Style::compact);
  json.array();
  for (const JsonValue& object : body["objects"].items()) {
    Ticket ticket{.oid = required_text(object, "oid"),
        .size_bytes = object["size"].number().value_or(0),
        .user = call.caller ? call.caller->user.name : "",
        .expires = unix_now() + kHrefSeconds};
    json.object().key("oid").value(ticket.oid).key("size").value(ticket.size_bytes);
    if (!is_oid(ticket.oid)) {
      write_error(json, 422, "the oid is not a SHA-256");
    } else if (is_upload) {
      any_split |= write_upload_object(json, call, info, std::move(ticket), may_split);
    } else {
      write_download_object(json, call, info, std::move(ticket));
    }
    json.end();
  }
  json.end();
  std::string_view transfer = any_split ? "multipart" : "basic";
  return http::respond(
      200, fmt::format(R"({{"transfer":"{}","objects":{}}})", transfer, objects), std::string(kLfsJson));
}

class UploadReceiver final : public http::Receiver {
 public:
  explicit UploadReceiver(content::LfsUpload upload) : upload_(std::move(upload)) {}
  void take(Bytes block) override { upload_.append(block); }
  http::Response finish() override {
    upload_.finish();
    return http::respond(200, "{}").with("ETag", "\"" + upload_.oid() + "\"");
  }

 private:
  content::LfsUpload upload_;
};

std::unique_ptr<http::Receiver> open_upload(Hub& hub, const http::Request& request) {
  Ticket ticket = ticket_of(hub, request, "upload");
  if (request.body_bytes && *request.body_bytes != ticket.size_bytes)
    refuse(400, "BadRequest",
        fmt::format("wrong size of the body (have {} bytes, need {})", *request.body_bytes, ticket.size_bytes));
  return std::make_unique<UploadReceiver>(hub.store.lfs().upload(ticket.user, ticket.oid, ticket.size_bytes));
}

class PartReceiver final : public http::Receiver {
 public:
  explicit PartReceiver(content::LfsPart part) : part_(std::move(part)) {}
  void take(Bytes block) override { part_.append(block); }
  http::Response finish() override { return http::respond(200, "{}").with("ETag", "\"" + part_.finish() + "\""); }

 private:
  content::LfsPart part_;
};

std::unique_ptr<http::Receiver> open_part(Hub& hub, const http::Request& request) {
  Ticket ticket = ticket_of(hub, request, "parts");
  const std::string& text = request.captured("number");
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  uint64_t parts = (ticket.size_bytes + ticket.part_bytes - 1) / ticket.part_bytes;
  if (number == 0 || number > parts) refuse(400, "BadRequest", "the part does not exist");
  return std::make_unique<PartReceiver>(
      hub.store.lfs().part(ticket.user, ticket.oid, ticket.size_bytes, ticket.part_bytes, number));
}

http::Response complete(Hub& hub, const http::Request& request) {
  Ticket ticket = ticket_of(hub, request, "parts");
  hub.store.lfs().complete(ticket.user, ticket.oid, ticket.size_bytes, ticket.part_bytes);
  return http::respond(200, "{}", std::string(kLfsJson));
}

http::Response verify(Hub& hub, const http::Request& request) {
  Ticket ticket = ticket_of(hub, request, request.query("action") == "parts" ? "parts" : "upload");
  // Only for the user's own uploads. Otherwise anybody could find out which objects private repositories contain.
  bool is_uploaded = hub.store.lfs().uploaded(ticket.user, ticket.oid);
  if (!is_uploaded || hub.store.lfs().size_of(ticket.oid) != ticket.size_bytes)
    refuse(404, "EntryNotFound", "the object was not uploaded");
  return http::respond(200, "{}", std::string(kLfsJson));
}

http::Response download(Hub& hub, const http::Request& request) {
  Ticket ticket = ticket_of(hub, request, "download");
  size_t slash = ticket.repo.find('/');
  auto type = repos::repo_type(ticket.repo.substr(0, slash));
  if (!type) refuse(404, "RepoNotFound", "Repository not found");
  repos::RepoInfo info = hub.store.repos().at(repos::RepoId::parse(*type, ticket.repo.substr(slash + 1)));
  auto user = hub.store.users().find(ticket.user);
  auto path = hub.store.lfs().readable(info.key, ticket.oid, user ? user->name : std::string());
  if (!path) refuse(404, "EntryNotFound", "the repository does not contain this object");
  auto file = http::OpenFile::open(path->string());
  http::Response answer;
  answer.with("Content-Type", "application/octet-stream").with("ETag", "\"" + ticket.oid + "\"");
  answer.body = http::FileRange{file, 0, file->size_bytes()};
  return http::ranged(request, std::move(answer));
}

http::Response no_locks(const Call&) { return error_response(404, "", "this Hub does not support LFS locks"); }

}  // namespace

void add_lfs_routes(http::Router& router, Hub& hub) {
  for (std::string prefix : {"/datasets", "/spaces", ""}) {
    const std::string lfs = prefix + "/{ns}/{name}.git/info/lfs";
    std::string type = prefix.empty() ? "" : prefix.substr(1);
    router.add("POST", lfs + "/objects/batch", [&hub, type](http::Request& request) {
      if (!type.empty()) request.captures.emplace_back("type", type);
      return batch(Call(hub, request));
    });
    router.add("POST|GET", lfs + "/locks", endpoint(hub, no_locks));
    router.add("POST", lfs + "/locks/verify", endpoint(hub, no_locks));
  }
  // Signed addresses need no token.
  router.add_streaming("PUT", "/lfs/{oid}", [&hub](http::Request& request) { return open_upload(hub, request); });
  router.add_streaming(
      "PUT", "/lfs/{oid}/parts/{number}", [&hub](http::Request& request) { return open_part(hub, request); });
  router.add("GET", "/lfs/{oid}", [&hub](http::Request& request) { return download(hub, request); });
  router.add("POST", "/lfs/{oid}/complete", [&hub](http::Request& request) { return complete(hub, request); });
  router.add("POST", "/lfs/{oid}/verify", [&hub](http::Request& request) { return verify(hub, request); });
}

}  // namespace depickle::server::api
