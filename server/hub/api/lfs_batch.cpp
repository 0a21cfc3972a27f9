// LFS: the batch endpoint.
#include <charconv>

#include <fmt/format.h>

#include "server/http/target.h"
#include "server/hub/api/lfs_ticket.h"

namespace depickle::server::api {
namespace {

// huggingface_hub sends at most 256 objects, git-lfs 100.
constexpr size_t kMaxObjects = 256;
constexpr uint64_t kPartsFromBytes = 100 << 20, kPartBytes = 32 << 20;
// Each part has an address of about 350 bytes in the response.
constexpr uint64_t kMaxParts = 1000;
constexpr uint64_t kHrefSeconds = uint64_t{24} * 3600;
// A longer response is made while it is sent.
constexpr size_t kWholeResponseBytes = 256 << 10;

std::string text_of(const Ticket& ticket) {
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}", ticket.action, ticket.oid, ticket.size_bytes, ticket.part_bytes,
      ticket.user, ticket.repo, ticket.expires);
}

uint64_t number_in(const http::Request& request, std::string_view name) {
  std::string text = request.query(name).value_or("");
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool is_oid(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

void write_error(JsonWriter& json, uint64_t code, std::string_view message) {
  json.key("error").object().key("code").value(code).key("message").value(message).end();
}

// Makes the response to a batch request, one object at a time. One object takes up to 350 kB.
class BatchResponse {
 public:
  BatchResponse(const Call& call, const JsonValue& body, bool is_upload, repos::RepoInfo info)
      : hub_(call.hub),
        origin_(call.origin()),
        user_(call.caller ? call.caller->user.name : ""),
        is_upload_(is_upload),
        info_(std::move(info)) {
    bool may_split = false;
    for (const JsonValue& transfer : body["transfers"].items()) may_split |= transfer.text() == "multipart";
    for (const JsonValue& object : body["objects"].items()) {
      objects_.push_back({required_text(object, "oid"), object["size"].number().value_or(0)});
      is_split_ |= is_upload && may_split && objects_.back().size_bytes > kPartsFromBytes;
    }
  }

  // Returns the next piece, empty after the end.
  std::string next() {
    if (next_ > objects_.size()) return {};
    if (next_ == objects_.size()) {
      ++next_;
      return objects_.empty() ? head() + "]}" : "]}";
    }
    std::string piece = next_ == 0 ? head() : ",";
    JsonWriter json(piece, JsonWriter::Style::compact);
    write_object(json, objects_[next_++]);
    return piece;
  }

 private:
  struct Object {
    std::string oid;
    uint64_t size_bytes;
  };

  std::string head() const {
    return fmt::format(R"({{"transfer":"{}","objects":[)", is_split_ ? "multipart" : "basic");
  }

  void write_object(JsonWriter& json, const Object& object) {
    Ticket ticket{
        .oid = object.oid, .size_bytes = object.size_bytes, .user = user_, .expires = unix_now() + kHrefSeconds};
    json.object().key("oid").value(ticket.oid).key("size").value(ticket.size_bytes);
    if (!is_oid(ticket.oid)) {
      write_error(json, 422, "the oid is not a SHA-256");
    } else if (!is_upload_) {
      write_download(json, std::move(ticket));
    } else if (ticket.size_bytes > hub_.store.limits().lfs_file_bytes) {
      write_error(json, 413, "the file is too large for this Hub");
    } else if (!hub_.store.lfs().usable(user_, info_.key, ticket.oid)) {
      write_checked_upload(json, std::move(ticket));
    }
    json.end();
  }

  // The uploads of a batch must fit together.
  void write_checked_upload(JsonWriter& json, Ticket ticket) {
    new_bytes_ += std::min(ticket.size_bytes, hub_.store.limits().lfs_file_bytes);
    try {
      hub_.store.upload_limits().check(user_, new_bytes_);
    } catch (const StoreError& error) {
      return write_error(json, error.reason() == StoreReason::no_space ? 507 : 413, error.message());
    }
    write_upload(json, std::move(ticket));
  }

  void write_upload(JsonWriter& json, Ticket ticket) {
    std::string base = origin_ + "/lfs/" + ticket.oid;
    bool split = is_split_ && ticket.size_bytes > kPartsFromBytes;
    ticket.action = split ? "parts" : "upload";
    if (split) ticket.part_bytes = std::max(kPartBytes, (ticket.size_bytes + kMaxParts - 1) / kMaxParts);
    std::string query = ticket.query(hub_.signer);
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

  void write_download(JsonWriter& json, Ticket ticket) {
    if (!hub_.store.lfs().readable(info_.key, ticket.oid, user_))
      return write_error(json, 404, "the repository does not contain this object");
    ticket.action = "download";
    ticket.repo = std::string(repos::plural(info_.id.type)) + "/" + info_.id.full();
    json.key("actions").object().key("download").object();
    json.key("href").value(origin_ + "/lfs/" + ticket.oid + ticket.query(hub_.signer)).end().end();
  }

  Hub& hub_;
  const std::string origin_, user_;
  const bool is_upload_;
  const repos::RepoInfo info_;
  std::vector<Object> objects_;
  uint64_t new_bytes_ = 0;  // of the uploads so far
  bool is_split_ = false;
  size_t next_ = 0;
};

}  // namespace

std::string Ticket::query(const Signer& signer) const {
  return fmt::format("?action={}&size={}&chunk={}&user={}&repo={}&expires={}&signature={}", action, size_bytes,
      part_bytes, user, http::percent_encoded(repo, false), expires, signer.signature(text_of(*this)));
}

Ticket ticket_of(Hub& hub, const http::Request& request, std::string_view action) {
  Ticket ticket{.action = request.query("action").value_or(""),
      .oid = request.captured("oid"),
      .size_bytes = number_in(request, "size"),
      .part_bytes = number_in(request, "chunk"),
      .user = request.query("user").value_or(""),
      .repo = request.query("repo").value_or(""),
      .expires = number_in(request, "expires")};
  bool is_signed = hub.signer.is_valid(text_of(ticket), request.query("signature").value_or(""));
  if (!is_signed || ticket.action != action) refuse(403, "Forbidden", "the signature of this address is not valid");
  if (unix_now() >= ticket.expires) refuse(403, "Forbidden", "this address has expired, request a new one");
  return ticket;
}

http::Response lfs_batch(const Call& call) {
  JsonValue body = call.body();
  bool is_upload = body["operation"].text() == "upload";
  repos::RepoInfo info = call.repo_for(is_upload ? Need::discuss : Need::read);
  if (size_t count = body["objects"].items().size(); count > kMaxObjects)
    refuse(413, "TooLarge", fmt::format("too many objects (have {}, at most {})", count, kMaxObjects));
  auto batch = std::make_shared<BatchResponse>(call, body, is_upload, std::move(info));
  std::string pending;
  for (std::string piece = batch->next(); !piece.empty(); piece = batch->next()) {
    pending += piece;
    if (pending.size() > kWholeResponseBytes) break;
  }
  http::Response response = http::respond(200, {}, std::string(kLfsJson));
  if (pending.size() <= kWholeResponseBytes) {
    response.body = std::move(pending);
    return response;
  }
  response.body = [batch, pending = std::move(pending), sent = size_t{0}](MutableBytes into) mutable -> size_t {
    if (sent == pending.size()) {
      pending = batch->next();
      sent = 0;
    }
    size_t count = std::min(pending.size() - sent, into.size());
    std::copy_n(pending.data() + sent, count, reinterpret_cast<char*>(into.data()));
    sent += count;
    return count;
  };
  return response;
}

}  // namespace depickle::server::api
