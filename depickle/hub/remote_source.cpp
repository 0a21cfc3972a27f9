#include "depickle/hub/remote_source.h"

#include <vector>

#include <fmt/format.h>

#include "depickle/base/kept_views.h"
#include "depickle/hub/backoff.h"
#include "depickle/hub/block_cache.h"
#include "depickle/hub/ranged_file.h"

namespace depickle::hub {
namespace {

constexpr uint64_t kTailBytes = 256 << 10;
// Larger reads bypass the block cache.
constexpr uint64_t kDirectBytes = 1 << 20;

// The last bytes of the file, and the headers of their response.
struct Tail {
  FileHeaders headers;
  uint64_t offset = 0;
  std::vector<std::byte> bytes;
};

class TailReader {
 public:
  explicit TailReader(const std::string& about) : about_(about) {}

  void on_head(const Response& head) {
    tail_.headers = parse_file_headers(head);
    if (head.status == 206) {
      const auto range = parse_content_range(head.header("content-range"));
      if (!range || range->end != range->size_bytes || range->end - range->begin > kTailBytes)
        refuse("the Hub sends other bytes than requested");
      size_bytes_ = range->size_bytes;
      tail_.offset = range->begin;
    } else {
      size_bytes_ = tail_.headers.size_bytes.value_or(UINT64_MAX);
    }
    if (size_bytes_ - tail_.offset > kTailBytes)
      throw Error(Code::unsupported, "", "the Hub does not support ranges of this file", Where::in(about_),
          "download it first");
    if (tail_.headers.size_bytes && *tail_.headers.size_bytes != size_bytes_)
      refuse(fmt::format("the file size differs from the size that the Hub reported (have {}, need {})", size_bytes_,
          *tail_.headers.size_bytes));
  }

  void on_body(Bytes bytes) {
    if (bytes.size() > size_bytes_ - tail_.offset - tail_.bytes.size())
      refuse(fmt::format("the file is longer than the Hub reported ({} bytes)", size_bytes_));
    tail_.bytes.insert(tail_.bytes.end(), bytes.begin(), bytes.end());
  }

  Tail finish() {
    const uint64_t end = tail_.offset + tail_.bytes.size();
    if (end != size_bytes_)
      throw ConnectionError(
          Error(Code::network, "", fmt::format("the response is too short (have {} bytes, need {})", end, size_bytes_),
              Where::in(about_), "try again later"),
          false);
    tail_.headers.size_bytes = size_bytes_;
    return std::move(tail_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(Code::integrity, "", what, Where::in(about_), "try again");
  }

  const std::string& about_;
  Tail tail_;
  uint64_t size_bytes_ = 0;
};

Tail read_tail_once(const Client& client, const std::string& url, const std::string& about) {
  TailReader reader(about);
  client.http().stream(
      {.url = url, .about = about, .headers = {fmt::format("Range: bytes=-{}", kTailBytes)}},
      [&](const Response& head) { reader.on_head(head); }, [&](Bytes bytes) { reader.on_body(bytes); });
  return reader.finish();
}

Tail read_tail(const Client& client, const std::string& url, const std::string& about) {
  for (Backoff backoff(client.settings());;) {
    try {
      return read_tail_once(client, url, about);
    } catch (const Failure& failure) {
      if (failure.status() == 416) return {};  // the file is empty
      if (!backoff.wait_after(failure)) throw;
    } catch (const ConnectionError& error) {
      if (!backoff.wait_after(error)) throw;
    }
  }
}

}  // namespace

struct RemoteSource::State {
  State(const Client& client, FileMetadata metadata, std::string url, const std::string& about)
      : commit(std::move(metadata.commit)),
        file(std::move(metadata.file)),
        remote(client, std::move(url), about, file.size_bytes),
        cache(file.size_bytes, [this](uint64_t offset, MutableBytes out) { fetch(offset, out); }) {}

  void fetch(uint64_t offset, MutableBytes out) {
    remote.read(offset, offset + out.size(), RangedFile::IfWhole::refuse,
        [&](uint64_t at, Bytes bytes) { std::ranges::copy(bytes, out.begin() + static_cast<ptrdiff_t>(at - offset)); });
  }

  std::string commit;
  RepoFile file;
  RangedFile remote;
  BlockCache cache;
  KeptViews views;
};

std::shared_ptr<const RemoteSource> RemoteSource::open(
    const Client& client, const RepoId& repo, std::string_view revision, std::string_view path) {
  if (revision.empty()) revision = "main";
  check_revision(revision);
  check_repo_path(path);
  const std::string about = hf_address(repo, revision, path);
  Tail tail = read_tail(client, resolve_url(client, repo, revision, path), about);
  if (tail.headers.etag.empty()) {
    // The response came from a store, and the redirect had no metadata: ask the Hub alone.
    tail.headers = parse_file_headers(client.http().send(
        {.method = "HEAD", .url = resolve_url(client, repo, revision, path), .about = about, .stays_at_hub = true}));
  }
  FileMetadata metadata = file_metadata_of(tail.headers, path, about);
  std::string url = resolve_url(client, repo, metadata.commit, path);
  auto state = std::make_unique<State>(client, std::move(metadata), std::move(url), about);
  state->cache.store(tail.offset, tail.bytes);
  state->remote.add_traffic(1, tail.bytes.size());
  return std::shared_ptr<const RemoteSource>(new RemoteSource(about, std::move(state)));
}

RemoteSource::RemoteSource(std::string name, std::unique_ptr<State> state)
    : ByteSource(std::move(name)),
      state_(std::move(state)) {}
RemoteSource::~RemoteSource() = default;

uint64_t RemoteSource::size_bytes() const noexcept { return state_->file.size_bytes; }
const std::string& RemoteSource::commit() const noexcept { return state_->commit; }
const RepoFile& RemoteSource::file() const noexcept { return state_->file; }
RemoteSource::Traffic RemoteSource::traffic() const noexcept {
  return {state_->remote.requests(), state_->remote.transferred_bytes()};
}

void RemoteSource::do_read(uint64_t offset, MutableBytes out) const {
  if (out.size() >= kDirectBytes)
    state_->fetch(offset, out);
  else
    state_->cache.read(offset, out);
}

Bytes RemoteSource::do_view(uint64_t offset, uint64_t length) const {
  return state_->views.view(offset, length, name(), [this](uint64_t at, MutableBytes out) { do_read(at, out); });
}

}  // namespace depickle::hub
