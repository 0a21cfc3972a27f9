// git over HTTP, for clone and fetch: runs `git upload-pack`, as git's http-backend does.
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>

#include "depickle/os/file_descriptor.h"
#include "server/http/access_guard.h"
#include "server/http/addresses.h"
#include "server/hub/api/call.h"
#include "server/hub/api/child.h"

namespace depickle::server::api {
namespace {

// The commits that a client has and wants; hundreds of thousands fit.
constexpr uint64_t kMaxRequestBytes = 32 << 20;
// Each clone is a process and occupies a worker while git works.
constexpr int kMaxClones = 8, kMaxClonesOfAddress = 4;

bool is_protocol(std::string_view text) {
  return text.size() < 64 && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789=:") == std::string_view::npos;
}

// Returns an object whose end frees the place of a clone.
std::shared_ptr<void> clone_slot(Hub& hub, const std::string& address) {
  std::lock_guard lock(hub.clones_mutex);
  int all = 0;
  for (const auto& [other, count] : hub.clones) all += count;
  int& own = hub.clones[address];
  // A proxy or programs on this machine may work for many people.
  if (all >= kMaxClones || (own >= kMaxClonesOfAddress && !http::is_loopback_host(address))) {
    if (own == 0) hub.clones.erase(address);
    refuse(503, "Busy", "too many clones at the same time, try again later");
  }
  ++own;
  return {nullptr, [&hub, address](void*) {
            std::lock_guard ended(hub.clones_mutex);
            if (--hub.clones.at(address) == 0) hub.clones.erase(address);
          }};
}

std::shared_ptr<Child> upload_pack(
    Hub& hub, const http::Request& request, const repos::Repo& repo, bool advertise, int input) {
  const std::shared_ptr<void> slot = clone_slot(hub, http::network_of(request.peer));
  // The data folder may belong to another user, as in a container with a volume. git refuses such repositories
  // otherwise.
  std::vector<std::string> arguments{"git", "-c", "safe.directory=*", "upload-pack", "--stateless-rpc"};
  if (advertise) arguments.push_back("--advertise-refs");
  arguments.push_back(repo.git_folder().string());
  std::vector<std::string> environment{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1"};
  if (const std::string& protocol = request.field("Git-Protocol"); !protocol.empty() && is_protocol(protocol))
    environment.push_back("GIT_PROTOCOL=" + protocol);
  auto child = std::make_unique<Child>(arguments, environment, input);
  return {child.release(), [slot](Child* ended) { delete ended; }};
}

// Sends `first`, then the output of the child.
http::Response streamed(std::string content_type, std::string first, std::shared_ptr<Child> child) {
  http::Response answer;
  answer.with("Content-Type", std::move(content_type)).with("Cache-Control", "no-cache");
  answer.body = [first = std::move(first), child = std::move(child)](MutableBytes into) mutable -> size_t {
    if (first.empty()) return child->read(into);
    size_t count = std::min(first.size(), into.size());
    std::copy_n(first.data(), count, reinterpret_cast<char*>(into.data()));
    first.erase(0, count);
    return count;
  };
  return answer;
}

http::Response plain_text(int status, std::string text) {
  return http::respond(status, std::move(text), "text/plain; charset=utf-8");
}

http::Response no_push() {
  return plain_text(
      403, "This Hub does not support git push. Upload with the hf command or huggingface_hub instead.\n");
}

http::Response info_refs(const Call& call) {
  std::string service = call.request.query("service").value_or("");
  repos::Repo repo = call.hub.store.repo(call.repo_for(Need::read));
  if (service == "git-receive-pack") return no_push();
  if (service != "git-upload-pack") return plain_text(403, "This Hub supports only git's smart protocol.\n");
  static const os::FileDescriptor no_input = os::open_file("/dev/null", O_RDONLY);
  auto child = upload_pack(call.hub, call.request, repo, true, no_input.get());
  bool version_2 = call.request.field("Git-Protocol").find("version=2") != std::string::npos;
  return streamed(
      "application/x-git-upload-pack-advertisement", version_2 ? "" : "001e# service=git-upload-pack\n0000", child);
}

// Collects the request, decompressed, in a file, which becomes the standard input of git.
class UploadPackReceiver final : public http::Receiver {
 public:
  UploadPackReceiver(Hub& hub, http::Request& request, const http::Bodies& bodies)
      : call_(hub, request),
        repo_(hub.store.repo(call_.repo_for(Need::read))),
        file_(bodies.file(request, call_.sender(), kMaxRequestBytes)) {
    is_gzip_ = request.field("Content-Encoding") == "gzip";
    if (is_gzip_ && ::inflateInit2(&stream_, 15 + 16) != Z_OK) throw std::bad_alloc();
  }
  ~UploadPackReceiver() override {
    if (is_gzip_) ::inflateEnd(&stream_);
  }

  void take(Bytes block) override {
    if (!is_gzip_) return file_.append(block);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(block.data()));
    stream_.avail_in = static_cast<uInt>(block.size());
    std::byte out[16 << 10];
    while (stream_.avail_in > 0) {
      stream_.next_out = reinterpret_cast<Bytef*>(out);
      stream_.avail_out = sizeof out;
      int result = ::inflate(&stream_, Z_NO_FLUSH);
      if (result != Z_OK && result != Z_STREAM_END) refuse(400, "BadRequest", "the body is not gzip");
      file_.append({out, sizeof out - stream_.avail_out});
      if (result == Z_STREAM_END) return;
    }
  }

  http::Response finish() override {
    return streamed("application/x-git-upload-pack-result", "",
        upload_pack(call_.hub, call_.request, repo_, false, file_.descriptor()));
  }

 private:
  Call call_;
  repos::Repo repo_;
  http::BodyFile file_;
  bool is_gzip_ = false;
  z_stream stream_{};
};

}  // namespace

void add_git_routes(http::Router& router, Hub& hub) {
  for (std::string type : {"datasets", "spaces", ""})
    for (std::string suffix : {".git", ""}) {
      std::string repo = (type.empty() ? "" : "/" + type) + "/{ns}/{name}";
      repo += suffix;
      auto typed = [type](http::Request& request) -> http::Request& {
        if (!type.empty()) request.captures.emplace_back("type", type);
        return request;
      };
      router.add(
          "GET", repo + "/info/refs",
          [&hub, typed](http::Request& request) { return info_refs(Call(hub, typed(request))); }, http::Work::slow);
      router.add_with_body(
          "POST", repo + "/git-upload-pack",
          [&hub, typed](http::Request& request, const http::Bodies& bodies) {
            return std::make_unique<UploadPackReceiver>(hub, typed(request), bodies);
          },
          http::Work::slow);
      router.add("POST", repo + "/git-receive-pack", [](http::Request&) { return no_push(); });
    }
}

}  // namespace depickle::server::api
