// Large files: the LFS batch, and the addresses that it hands out.
#include <charconv>

#include <fmt/format.h>

#include "server/http/target.h"
#include "server/hub/api/call.h"

namespace depickle::server::api {
namespace {

constexpr std::string_view kLfsJson = "application/vnd.git-lfs+json";
constexpr size_t kMaxObjects = 1000;
constexpr uint64_t kPartsFromBytes = 100 << 20, kPartBytes = 32 << 20, kMaxParts = 9'999;
constexpr uint64_t kHrefSeconds = 24 * 3600;

/// What an address is good for; all of it is signed, since whoever has the address may use it.
struct Ticket {
  std::string action;  ///< "upload", "parts", "download"
  std::string oid;
  uint64_t size_bytes = 0;
  uint64_t chunk_bytes = 0;
  std::string user;  ///< empty: nobody, who may download
  std::string repo;  ///< "models/me/demo", for a download
  uint64_t expires = 0;

  std::string text() const {
    return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}", action, oid, size_bytes, chunk_bytes, user, repo, expires);
  }
  std::string query(const Signer& signer) const {
    return fmt::format("?action={}&size={}&chunk={}&user={}&repo={}&expires={}&signature={}", action, size_bytes,
        chunk_bytes, user, http::percent_encoded(repo, false), expires, signer.signature(text()));
  }
};

uint64_t number_in(const http::Request& request, std::string_view name) {
  std::string text = request.query(name).value_or("");
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// The ticket of an address. Throws 403 where it is not ours, for something else, or too old.
Ticket ticket_of(Hub& hub, const http::Request& request, std::string_view action) {
  Ticket ticket{.action = request.query("action").value_or(""),
      .oid = request.captured("oid"),
      .size_bytes = number_in(request, "size"),
      .chunk_bytes = number_in(request, "chunk"),
      .user = request.query("user").value_or(""),
      .repo = request.query("repo").value_or(""),
      .expires = number_in(request, "expires")};
  bool good = hub.signer.holds(ticket.text(), request.query("signature").value_or(""));
  if (!good || ticket.action != action) refuse(403, "Forbidden", "this address is not signed by the Hub");
  if (unix_now() >= ticket.expires) refuse(403, "Forbidden", "this address has expired: ask for a new one");
  return ticket;
}

void write_upload(JsonWriter& json, const Call& call, Ticket ticket, bool may_split) {
  std::string base = call.origin() + "/lfs/" + ticket.oid;
  bool split = may_split && ticket.size_bytes > kPartsFromBytes;
  ticket.action = split ? "parts" : "upload";
  if (split) ticket.chunk_bytes = std::max(kPartBytes, (ticket.size_bytes + kMaxParts - 1) / kMaxParts);
  std::string query = ticket.query(call.hub.signer);
  json.key("authenticated").value(true).key("actions").object().key("upload").object();
  json.key("href").value(base + (split ? "/complete" : "") + query).key("header").object();
  if (split) {
    json.key("chunk_size").value(std::to_string(ticket.chunk_bytes));
    uint64_t parts = (ticket.size_bytes + ticket.chunk_bytes - 1) / ticket.chunk_bytes;
    for (uint64_t part = 1; part <= parts; ++part)
      json.key(fmt::format("{:05}", part)).value(fmt::format("{}/parts/{}{}", base, part, query));
  }
  json.end().end();
  // The query alone: whoever verifies has uploaded. (git-lfs and Python send their token too.)
  json.key("verify").object().key("href").value(base + "/verify" + query).key("header").object().end().end().end();
}

void write_error(JsonWriter& json, uint64_t code, std::string_view message) {
  json.key("error").object().key("code").value(code).key("message").value(message).end();
}

bool is_oid(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

http::Response batch(const Call& call) {
  JsonValue body = call.body();
  bool upload = body.text("operation") == "upload";
  RepoInfo info = call.repo_for(upload ? Need::discuss : Need::read);
  bool may_split = false;
  for (const JsonValue& transfer : body.array("transfers"))
    may_split |= transfer.as_text() && *transfer.as_text() == "multipart";
  if (body.array("objects").size() > kMaxObjects) refuse(413, "TooLarge", "too many objects at once");
  bool any_split = false;
  std::string objects;
  JsonWriter json(objects, JsonWriter::Style::compact);
  json.array();
  for (const JsonValue& object : body.array("objects")) {
    Ticket ticket{.oid = object.required_text("oid"),
        .size_bytes = object.number("size").value_or(0),
        .user = call.caller ? call.caller->user.name : "",
        .expires = unix_now() + kHrefSeconds};
    json.object().key("oid").value(ticket.oid).key("size").value(ticket.size_bytes);
    if (!is_oid(ticket.oid)) {
      write_error(json, 422, "the oid is no SHA-256");
    } else if (upload && ticket.size_bytes > call.hub.store.limits().lfs_file_bytes) {
      write_error(json, 413, "the file is too large for this Hub");
    } else if (upload) {
      any_split |= may_split && ticket.size_bytes > kPartsFromBytes;
      if (!call.hub.store.lfs().usable(ticket.user, info, ticket.oid)) write_upload(json, call, ticket, may_split);
    } else if (!call.hub.store.lfs().readable(info, ticket.oid, call.who())) {
      write_error(json, 404, "this repository has no such object");
    } else {
      ticket.action = "download";
      ticket.repo = std::string(plural(info.id.type)) + "/" + info.id.full();
      json.key("actions").object().key("download").object();
      json.key("href").value(call.origin() + "/lfs/" + ticket.oid + ticket.query(call.hub.signer)).end().end();
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
  explicit UploadReceiver(LfsUpload upload) : upload_(std::move(upload)) {}
  void take(Bytes block) override { upload_.append(block); }
  http::Response finish() override {
    upload_.finish();
    return http::respond(200, "{}").with("ETag", "\"" + upload_.oid() + "\"");
  }

 private:
  LfsUpload upload_;
};

std::unique_ptr<http::Receiver> open_upload(Hub& hub, const http::Request& request) {
  Ticket ticket = ticket_of(hub, request, "upload");
  if (request.body_bytes && *request.body_bytes != ticket.size_bytes)
    refuse(400, "BadRequest",
        fmt::format("the body has {} bytes, not the promised {}", *request.body_bytes, ticket.size_bytes));
  return std::make_unique<UploadReceiver>(hub.store.lfs().upload(ticket.user, ticket.oid, ticket.size_bytes));
}

class PartReceiver final : public http::Receiver {
 public:
  explicit PartReceiver(LfsPart part) : part_(std::move(part)) {}
  void take(Bytes block) override { part_.append(block); }
  http::Response finish() override { return http::respond(200, "{}").with("ETag", "\"" + part_.finish() + "\""); }

 private:
  LfsPart part_;
};

std::unique_ptr<http::Receiver> open_part(Hub& hub, const http::Request& request) {
  Ticket ticket = ticket_of(hub, request, "parts");
  const std::string& text = request.captured("number");
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  uint64_t parts = (ticket.size_bytes + ticket.chunk_bytes - 1) / ticket.chunk_bytes;
  if (number == 0 || number > parts) refuse(400, "BadRequest", "there is no such part");
  return std::make_unique<PartReceiver>(
      hub.store.lfs().part(ticket.user, ticket.oid, ticket.size_bytes, ticket.chunk_bytes, number));
}

http::Response complete(Hub& hub, const http::Request& request) {
  Ticket ticket = ticket_of(hub, request, "parts");
  hub.store.lfs().complete(ticket.user, ticket.oid, ticket.size_bytes, ticket.chunk_bytes);
  return http::respond(200, "{}", std::string(kLfsJson));
}

http::Response verify(Hub& hub, const http::Request& request) {
  Ticket ticket = ticket_of(hub, request, request.query("action") == "parts" ? "parts" : "upload");
  // Only his own: else anybody could ask which objects the private repositories of others hold.
  bool is_here = hub.store.lfs().uploaded(ticket.user, ticket.oid);
  if (!is_here || hub.store.lfs().size_of(ticket.oid) != ticket.size_bytes)
    refuse(404, "EntryNotFound", "the object is not here");
  return http::respond(200, "{}", std::string(kLfsJson));
}

http::Response download(Hub& hub, const http::Request& request) {
  Ticket ticket = ticket_of(hub, request, "download");
  size_t slash = ticket.repo.find('/');
  RepoInfo info = hub.store.repos().at(
      RepoId::parse(repo_type(ticket.repo.substr(0, slash)).value(), ticket.repo.substr(slash + 1)));
  std::optional<Caller> reader;
  if (auto user = hub.store.users().find(ticket.user)) reader = Caller{.user = *user};
  auto path = hub.store.lfs().readable(info, ticket.oid, reader ? &*reader : nullptr);
  if (!path) refuse(404, "EntryNotFound", "this repository has no such object");
  auto file = http::OpenFile::open(path->string());
  http::Response answer;
  answer.with("Content-Type", "application/octet-stream").with("ETag", "\"" + ticket.oid + "\"");
  answer.body = http::FileRange{file, 0, file->size_bytes()};
  return http::ranged(request, std::move(answer));
}

http::Response no_locks(const Call&) { return error_response(404, "", "this Hub has no LFS locks"); }

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
  // Signed addresses: no login here.
  router.add_streaming("PUT", "/lfs/{oid}", [&hub](http::Request& request) { return open_upload(hub, request); });
  router.add_streaming(
      "PUT", "/lfs/{oid}/parts/{number}", [&hub](http::Request& request) { return open_part(hub, request); });
  router.add("GET", "/lfs/{oid}", [&hub](http::Request& request) { return download(hub, request); });
  router.add("POST", "/lfs/{oid}/complete", [&hub](http::Request& request) { return complete(hub, request); });
  router.add("POST", "/lfs/{oid}/verify", [&hub](http::Request& request) { return verify(hub, request); });
}

}  // namespace depickle::server::api
