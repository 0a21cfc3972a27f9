// Receives xet uploads, which current huggingface_hub uses for every large file.
#include "server/hub/api/call.h"

namespace depickle::server::api {
namespace {

constexpr std::string_view kPurpose = "xet";
constexpr uint64_t kTokenSeconds = uint64_t{12} * 3600;

// Clients cache by this id which xorbs a store contains. It includes the user: only the uploader can use a xorb, and
// two users of a machine share a cache.
std::string store_id_of(Hub& hub, std::string_view user) { return hub.store.id() + "-" + std::string(user); }

http::Response write_token(const Call& call) {
  call.repo_for(Need::discuss);
  uint64_t expires = unix_now() + kTokenSeconds;
  const std::string& user = call.signed_in_caller().user.name;
  std::string address = call.origin() + "/cas/" + store_id_of(call.hub, user);
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
  if (request.captured("store") != store_id_of(hub, *user)) refuse(404, "", "the address belongs to another store");
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
  return std::make_unique<XorbReceiver>(hub.store.xet().xorb(user, request.captured("hash")));
}

http::Response shard(Hub& hub, const http::Request& request) {
  hub.store.xet().take_shard(user_of(hub, request), std::as_bytes(std::span(request.body.data(), request.body.size())));
  return http::respond(200, R"({"result":1})");
}

// Reads and discards a body. The client sends it again to the older address, on the same connection.
class DiscardReceiver final : public http::Receiver {
  void take(Bytes) override {}
  http::Response finish() override { return error_response(404, "", "this Hub accepts shards at /v1/shards"); }
};

http::Response not_found(Hub& hub, const http::Request& request) {
  user_of(hub, request);
  return error_response(404, "", "not found");
}

}  // namespace

void add_xet_routes(http::Router& router, Hub& hub) {
  router.add("GET", "/api/{type}/{ns}/{name}/xet-write-token/{rev:rev}", endpoint(hub, write_token));
  router.add("GET", "/cas/{store}/v1/chunks/{prefix}/{hash}",
      [&hub](http::Request& request) { return not_found(hub, request); });
  router.add("POST", "/cas/{store}/v1/xorb-grants/{prefix}/{hash}",
      [&hub](http::Request& request) { return not_found(hub, request); });
  router.add_streaming("POST", "/cas/{store}/v1/xorbs/{prefix}/{hash}",
      [&hub](http::Request& request) { return open_xorb(hub, request); });
  router.add_streaming("POST", "/cas/{store}/v2/shards", [&hub](http::Request& request) {
    user_of(hub, request);
    return std::make_unique<DiscardReceiver>();
  });
  router.add(
      "POST", "/cas/{store}/v1/shards", [&hub](http::Request& request) { return shard(hub, request); },
      hub.store.limits().shard_bytes);
}

}  // namespace depickle::server::api
