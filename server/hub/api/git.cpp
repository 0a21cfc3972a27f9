// git over HTTP, for clone and fetch: what git's own http-backend does, by running `git upload-pack`.
#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>

#include "server/hub/api/call.h"
#include "server/hub/api/child.h"

namespace depickle::server::api {
namespace {

/// What a client says it has and wants; hundreds of thousands of commits fit.
constexpr uint64_t kMaxWantsBytes = 64 << 20;
/// Each clone is a process, and holds a worker while git computes: half of the workers stay free for everybody else.
constexpr int kMaxClones = 8;

bool is_protocol(std::string_view text) {
  return text.size() < 64 && text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789=:") == std::string_view::npos;
}

std::shared_ptr<Child> upload_pack(
    Hub& hub, const http::Request& request, const Repo& repo, bool advertise, int input) {
  std::shared_ptr<Hub> turn(&hub, [](Hub* done) { --done->clones; });
  if (hub.clones.fetch_add(1) >= kMaxClones) refuse(503, "Busy", "too many clones at once: try again");
  std::vector<std::string> words{"git", "upload-pack", "--stateless-rpc"};
  if (advertise) words.push_back("--advertise-refs");
  words.push_back(repo.git_folder().string());
  std::vector<std::string> environment{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1"};
  if (const std::string& protocol = request.field("Git-Protocol"); !protocol.empty() && is_protocol(protocol))
    environment.push_back("GIT_PROTOCOL=" + protocol);
  auto child = std::make_unique<Child>(words, environment, input);
  return {child.release(), [turn](Child* ended) { delete ended; }};
}

/// `first`, then all that the child says.
http::Response streamed(std::string content_type, std::string first, std::shared_ptr<Child> child) {
  http::Response answer;
  answer.with("Content-Type", std::move(content_type)).with("Cache-Control", "no-cache");
  answer.body = [first = std::move(first), child](MutableBytes into) mutable -> size_t {
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
  return plain_text(403, "This Hub takes no git push: upload with the hf command or huggingface_hub instead.\n");
}

http::Response info_refs(const Call& call) {
  std::string service = call.request.query("service").value_or("");
  Repo repo = call.hub.store.repo(call.repo_for(Need::read));
  if (service == "git-receive-pack") return no_push();
  if (service != "git-upload-pack") return plain_text(403, "This Hub speaks git's smart protocol only.\n");
  static const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  auto child = upload_pack(call.hub, call.request, repo, true, nothing);
  bool version_2 = call.request.field("Git-Protocol").find("version=2") != std::string::npos;
  return streamed(
      "application/x-git-upload-pack-advertisement", version_2 ? "" : "001e# service=git-upload-pack\n0000", child);
}

/// Collects the request in a nameless file, unpacked, and gives it to git as its input.
class UploadPackReceiver final : public http::Receiver {
 public:
  UploadPackReceiver(Hub& hub, http::Request& request)
      : call_(hub, request),
        repo_(hub.store.repo(call_.repo_for(Need::read))) {
    fd_ = ::open(hub.store.folder().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd_ < 0) throw system_error(errno, "cannot create a temporary file", hub.store.folder().string());
    packed_ = request.field("Content-Encoding") == "gzip";
    if (packed_ && ::inflateInit2(&stream_, 15 + 16) != Z_OK) throw std::bad_alloc();
  }
  ~UploadPackReceiver() override {
    if (packed_) ::inflateEnd(&stream_);
    ::close(fd_);
  }

  void take(Bytes block) override {
    if (!packed_) return keep(block);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(block.data()));
    stream_.avail_in = static_cast<uInt>(block.size());
    std::byte out[16 << 10];
    while (stream_.avail_in > 0) {
      stream_.next_out = reinterpret_cast<Bytef*>(out);
      stream_.avail_out = sizeof out;
      int result = ::inflate(&stream_, Z_NO_FLUSH);
      if (result != Z_OK && result != Z_STREAM_END) refuse(400, "BadRequest", "the body is not gzip");
      keep({out, sizeof out - stream_.avail_out});
      if (result == Z_STREAM_END) return;
    }
  }

  http::Response finish() override {
    if (::lseek(fd_, 0, SEEK_SET) != 0) throw system_error(errno, "cannot read", "a temporary file");
    return streamed(
        "application/x-git-upload-pack-result", "", upload_pack(call_.hub, call_.request, repo_, false, fd_));
  }

 private:
  void keep(Bytes bytes) {
    kept_ += bytes.size();
    if (kept_ > kMaxWantsBytes) refuse(413, "TooLarge", "the fetch asks for too much at once");
    while (!bytes.empty()) {
      ssize_t count = ::write(fd_, bytes.data(), bytes.size());
      if (count < 0) throw system_error(errno, "cannot write", "a temporary file");
      bytes = bytes.subspan(static_cast<size_t>(count));
    }
  }

  Call call_;
  Repo repo_;
  int fd_ = -1;
  bool packed_ = false;
  z_stream stream_{};
  uint64_t kept_ = 0;
};

}  // namespace

void add_git_routes(http::Router& router, Hub& hub) {
  for (std::string word : {"datasets", "spaces", ""})
    for (std::string tail : {".git", ""}) {
      std::string repo = (word.empty() ? "" : "/" + word) + "/{ns}/{name}" + tail;
      auto typed = [word](http::Request& request) -> http::Request& {
        if (!word.empty()) request.captures.emplace_back("type", word);
        return request;
      };
      router.add("GET", repo + "/info/refs",
          [&hub, typed](http::Request& request) { return info_refs(Call(hub, typed(request))); });
      router.add_streaming("POST", repo + "/git-upload-pack",
          [&hub, typed](http::Request& request) { return std::make_unique<UploadPackReceiver>(hub, typed(request)); });
      router.add("POST", repo + "/git-receive-pack", [](http::Request&) { return no_push(); });
    }
}

}  // namespace depickle::server::api
