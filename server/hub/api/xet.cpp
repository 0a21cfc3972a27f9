// Receives xet uploads, which current huggingface_hub uses for every large file.
#include <charconv>

#include "server/hub/api/call.h"
#include "server/hub/content/shard.h"

namespace depickle::server::api {
namespace {

constexpr std::string_view kPurpose = "xet";
constexpr uint64_t kTokenSeconds = uint64_t{12} * 3600;

// Clients cache by this id which xorbs a store contains. It includes the user: only the uploader can use a xorb, and
// two users of a machine share a cache. It also includes a number, which changes when xorbs may be missing.
std::string store_id_of(Hub& hub, std::string_view user, int64_t generation) {
  return hub.store.id() + "-" + std::string(user) + (generation == 0 ? "" : "~" + std::to_string(generation));
}

// An upload may go on at an address of an earlier generation.
bool is_store_of(Hub& hub, std::string_view id, std::string_view user) {
  int64_t generation = 0;
  if (const size_t at = id.rfind('~'); at != id.npos)
    std::from_chars(id.data() + at + 1, id.data() + id.size(), generation);
  return generation >= 0 && generation <= hub.store.xet().generation(user) && id == store_id_of(hub, user, generation);
}

http::Response write_token(const Call& call) {
  call.repo_for(Need::discuss);
  uint64_t expires = unix_now() + kTokenSeconds;
  const std::string& user = call.signed_in_caller().user.name;
  std::string address = call.origin() + "/cas/" + store_id_of(call.hub, user, call.hub.store.xet().generation(user));
  std::string token = call.hub.signer.token(kPurpose, user, expires);
  http::Response answer = json_response([&](JsonWriter& json) {
    json.object().key("casUrl").value(address).key("accessToken").value(token).key("exp").value(expires).end();
  });
  return answer.with("X-Xet-Cas-Url", address)
      .with("X-Xet-Access-Token", token)
      .with("X-Xet-Token-Expiration", std::to_string(expires));
}

// Returns the user of an upload. Throws 401; 404 if the address is that of another store.
std::string user_of(Hub& hub, const http::Request& request) {
  auto user = hub.signer.user_of(kPurpose, token_of(request.field("Authorization")));
  if (!user) refuse(401, "", "Invalid credentials in Authorization header");
  if (!is_store_of(hub, request.captured("store"), *user)) refuse(404, "", "the address belongs to another store");
  return *user;
}

class XorbReceiver final : public http::Receiver {
 public:
  explicit XorbReceiver(content::XorbUpload upload) : upload_(std::move(upload)) {}
  void take(Bytes block) override { upload_.append(block); }
  http::Response finish() override {
    return http::respond(200, upload_.finish() ? R"({"was_inserted":true})" : R"({"was_inserted":false})");
  }

 private:
  content::XorbUpload upload_;
};

std::unique_ptr<http::Receiver> open_xorb(Hub& hub, const http::Request& request) {
  std::string user = user_of(hub, request);
  if (request.body_bytes.value_or(0) > hub.store.limits().xorb_bytes) refuse(413, "TooLarge", "the xorb is too large");
  return std::make_unique<XorbReceiver>(
      hub.store.xet().xorb(user, request.captured("hash"), request.body_bytes.value_or(hub.store.limits().xorb_bytes)));
}

class ShardReceiver final : public http::Receiver {
 public:
  ShardReceiver(Hub& hub, const http::Request& request, const http::Bodies& bodies)
      : hub_(hub),
        user_(user_of(hub, request)),
        file_(bodies.file(request, http::Sender::signed_in(request, user_), hub.store.limits().shard_bytes)) {}
  void take(Bytes block) override { file_.append(block); }
  http::Response finish() override {
    hub_.store.xet().take_shard(user_,
        {file_.size_bytes(), [this](uint64_t offset_bytes, MutableBytes out) { file_.read(offset_bytes, out); }});
    return http::respond(200, R"({"result":1})");
  }

 private:
  Hub& hub_;
  std::string user_;
  http::BodyFile file_;
};

http::Response not_found(Hub& hub, const http::Request& request) {
  user_of(hub, request);
  return error_response(404, "", "not found");
}

http::Response no_newer_shards(http::Request&) {
  return error_response(404, "", "this Hub accepts shards at /v1/shards");
}

}  // namespace

void add_xet_routes(http::Router& router, Hub& hub) {
  router.add("GET", "/api/{type}/{ns}/{name}/xet-write-token/{rev:rev}", endpoint(hub, write_token));
  router.add("GET", "/cas/{store}/v1/chunks/{prefix}/{hash}",
      [&hub](http::Request& request) { return not_found(hub, request); });
  // A client that gets a 404 here sends its data again to an older address, on the same connection: the body is dropped
  // instead of not read.
  auto drop = [&hub](http::Handler handler, uint64_t max_bytes) -> http::Opener {
    return [&hub, handler = std::move(handler), max_bytes](http::Request& request, const http::Bodies& bodies) {
      user_of(hub, request);
      return bodies.dropped(request, handler, max_bytes);
    };
  };
  router.add_with_body("POST", "/cas/{store}/v1/xorb-grants/{prefix}/{hash}",
      drop([&hub](http::Request& request) { return not_found(hub, request); }, 2 << 20));
  router.add_with_body("POST", "/cas/{store}/v2/shards", drop(no_newer_shards, hub.store.limits().shard_bytes));
  router.add_with_body(
      "POST", "/cas/{store}/v1/xorbs/{prefix}/{hash}",
      [&hub](http::Request& request, const http::Bodies&) { return open_xorb(hub, request); }, http::Work::slow);
  router.add_with_body(
      "POST", "/cas/{store}/v1/shards",
      [&hub](http::Request& request, const http::Bodies& bodies) {
        return std::make_unique<ShardReceiver>(hub, request, bodies);
      },
      http::Work::slow);
}

}  // namespace depickle::server::api
