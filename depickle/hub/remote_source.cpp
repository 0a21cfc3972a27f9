#include "depickle/hub/remote_source.h"

#include <vector>

#include <fmt/format.h>

#include "depickle/base/kept_views.h"
#include "depickle/hub/backoff.h"
#include "depickle/hub/block_cache.h"
#include "depickle/hub/content_hash.h"
#include "depickle/hub/ranged_file.h"

namespace depickle::hub {
namespace {

constexpr uint64_t kTailBytes = 256 << 10;
// A read of so much goes straight to its reader, and is not kept.
constexpr uint64_t kDirectBytes = 1 << 20;

// The file's last bytes, and what the Hub says of it.
struct Tail {
  StatedFile stated;
  uint64_t offset = 0;
  std::vector<std::byte> bytes;
};

Error without_ranges(const std::string& about) {
  return Error(Code::unsupported, "", "the Hub sends this file only as a whole", Where::in(about), "download it first");
}

Tail read_tail_once(const Client& client, const std::string& url, const std::string& about) {
  Tail tail;
  uint64_t size_bytes = 0;
  const Request request{.url = url, .about = about, .headers = {fmt::format("Range: bytes=-{}", kTailBytes)}};
  client.http().stream(
      request,
      [&](const Response& head) {
        tail.stated = stated_file(head);
        if (head.status == 206) {
          const auto range = parse_content_range(head.header("content-range"));
          if (!range || range->end != range->size_bytes || range->end - range->begin > kTailBytes)
            throw Error(
                Code::integrity, "", "the Hub sends other bytes than were asked for", Where::in(about), "try again");
          size_bytes = range->size_bytes;
          tail.offset = range->begin;
        } else {
          if (!tail.stated.size_bytes) throw without_ranges(about);
          size_bytes = *tail.stated.size_bytes;
        }
        if (tail.stated.size_bytes && *tail.stated.size_bytes != size_bytes)
          throw Error(
              Code::integrity, "", "the file has another size than the Hub said", Where::in(about), "try again");
        if (size_bytes - tail.offset > kTailBytes) throw without_ranges(about);
      },
      [&](Bytes bytes) {
        if (bytes.size() > size_bytes - tail.offset - tail.bytes.size())
          throw Error(Code::integrity, "", "the file is longer than the Hub said", Where::in(about), "try again");
        tail.bytes.insert(tail.bytes.end(), bytes.begin(), bytes.end());
      });
  if (tail.bytes.size() != size_bytes - tail.offset)
    throw ConnectionError(
        Error(Code::network, "", "the connection ended too early", Where::in(about), "try again later"), false);
  tail.stated.size_bytes = size_bytes;
  return tail;
}

Tail read_tail(const Client& client, const std::string& url, const std::string& about) {
  for (Backoff backoff(client.settings());;) {
    try {
      return read_tail_once(client, url, about);
    } catch (const Failure& failure) {
      if (failure.status() == 416) return {};  // an empty file has no last bytes
      if (!backoff.again(failure)) throw;
    } catch (const ConnectionError& lost) {
      if (!backoff.again(lost)) throw;
    }
  }
}

}  // namespace

struct RemoteSource::State {
  State(const Client& client, std::string commit_id, RepoFile described, std::string url, const std::string& about)
      : commit(std::move(commit_id)),
        file(std::move(described)),
        remote(client, std::move(url), about, file.size_bytes),
        cache(file.size_bytes, [this](uint64_t offset, MutableBytes out) { fetch(offset, out); }) {}

  void fetch(uint64_t offset, MutableBytes out) {
    remote.read(offset, offset + out.size(), RangedFile::Whole::refuse,
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
  if (tail.stated.etag.empty()) {
    // The store answered and the Hub said nothing on the way to it: ask the Hub alone.
    tail.stated = stated_file(client.http().send(
        {.method = "HEAD", .url = resolve_url(client, repo, revision, path), .about = about, .stays_at_hub = true}));
  }
  const StatedFile& stated = tail.stated;
  if (!is_commit_id(stated.commit) || !is_content_hash(stated.etag) || !stated.size_bytes)
    throw Error(Code::malformed, "", "the Hub does not say which commit, hash and size the file has", Where::in(about),
        "is the endpoint the address of a Hub?");
  RepoFile file{std::string(path), *stated.size_bytes, {}, {}};
  (stated.etag.size() == 64 ? file.sha256 : file.blob_id) = stated.etag;
  auto state = std::make_unique<State>(
      client, stated.commit, std::move(file), resolve_url(client, repo, stated.commit, path), about);
  state->cache.keep(tail.offset, tail.bytes);
  state->remote.count(1, tail.bytes.size());
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
