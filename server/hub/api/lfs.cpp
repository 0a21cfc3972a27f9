// LFS: the signed addresses that the batch endpoint returns.
#include <charconv>

#include <fmt/format.h>

#include "server/hub/api/lfs_ticket.h"

namespace depickle::server::api {
namespace {

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
  hub.store.upload_limits().check(ticket.user, ticket.size_bytes);
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
  hub.store.upload_limits().check(ticket.user, request.body_bytes.value_or(ticket.part_bytes));
  return std::make_unique<PartReceiver>(
      hub.store.lfs().part(ticket.user, ticket.oid, ticket.size_bytes, ticket.part_bytes, number));
}

http::Response complete(Hub& hub, const Ticket& ticket) {
  if (ticket.action != "parts") refuse(403, "Forbidden", "the signature of this address is not valid");
  hub.store.lfs().complete(ticket.user, ticket.oid, ticket.size_bytes, ticket.part_bytes);
  return http::respond(200, "{}", std::string(kLfsJson));
}

http::Response verify(Hub& hub, const Ticket& ticket) {
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

// Makes a route that checks the ticket at the head of the request. The body repeats what the ticket says.
template <typename Endpoint>
http::Opener ticket_endpoint(Hub& hub, Endpoint function) {
  return [&hub, function](http::Request& request, const http::Bodies& bodies) {
    Ticket ticket = ticket_of(hub, request, request.query("action") == "parts" ? "parts" : "upload");
    return bodies.dropped(
        request, [&hub, function, ticket = std::move(ticket)](http::Request&) { return function(hub, ticket); });
  };
}

http::Response no_locks(const Call&) { return error_response(404, "", "this Hub does not support LFS locks"); }

}  // namespace

void add_lfs_routes(http::Router& router, Hub& hub) {
  for (std::string prefix : {"/datasets", "/spaces", ""}) {
    const std::string lfs = prefix + "/{ns}/{name}.git/info/lfs";
    std::string type = prefix.empty() ? "" : prefix.substr(1);
    auto typed = [&type](http::Opener open) -> http::Opener {
      return [type, open = std::move(open)](http::Request& request, const http::Bodies& bodies) {
        if (!type.empty()) request.captures.emplace_back("type", type);
        return open(request, bodies);
      };
    };
    router.add_with_body("POST", lfs + "/objects/batch", typed(body_endpoint(hub, needs(Need::read), lfs_batch)));
    router.add("GET", lfs + "/locks", endpoint(hub, no_locks));
    for (const char* path : {"/locks", "/locks/verify"})
      router.add_with_body("POST", lfs + path, typed(dropped_body_endpoint(hub, needs(Need::read), no_locks)));
  }
  // Signed addresses need no token.
  router.add_with_body(
      "PUT", "/lfs/{oid}", [&hub](http::Request& request, const http::Bodies&) { return open_upload(hub, request); },
      http::Work::slow);
  router.add_with_body(
      "PUT", "/lfs/{oid}/parts/{number}",
      [&hub](http::Request& request, const http::Bodies&) { return open_part(hub, request); }, http::Work::slow);
  router.add("GET", "/lfs/{oid}", [&hub](http::Request& request) { return download(hub, request); }, http::Work::slow);
  router.add_with_body("POST", "/lfs/{oid}/complete", ticket_endpoint(hub, complete), http::Work::slow);
  router.add_with_body("POST", "/lfs/{oid}/verify", ticket_endpoint(hub, verify));
}

}  // namespace depickle::server::api
