#include "depickle/hub/fetch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/content_hash.h"
#include "depickle/hub/ranged_file.h"
#include "depickle/os/file_lock.h"

namespace depickle::hub {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kManyRangesBytes = 64 << 20, kPieceBytes = 8 << 20, kHashBytes = 1 << 20;
constexpr unsigned kMaxConnections = 8;

bool is_large(uint64_t size_bytes) { return size_bytes >= kManyRangesBytes; }

// Pieces in flight are never further ahead of the first missing byte than this, whatever the settings: so a file which
// a killed process left is known to be whole up to its size less this.
constexpr uint64_t kWindowBytes = kPieceBytes * kMaxConnections;

class PartFile {
 public:
  PartFile(fs::path path, uint64_t size_bytes) : path_(std::move(path)) {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd_ < 0) throw system_error(errno, "cannot write", path_);
    struct stat status;
    if (::fstat(fd_, &status) == 0) had_bytes_ = static_cast<uint64_t>(status.st_size);
    // A wish, for a full disk is then found early. Not every file system can.
    if (size_bytes > 0 && ::fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size_bytes)) != 0 &&
        errno == ENOSPC) {
      ::close(fd_);
      throw system_error(ENOSPC, "cannot write", path_);
    }
  }
  // What holds no bytes is of no use to a later try.
  ~PartFile() {
    struct stat status;
    if (::fstat(fd_, &status) == 0 && status.st_size == 0) remove();
    ::close(fd_);
  }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  uint64_t had_bytes() const noexcept { return had_bytes_; }

  void write(uint64_t offset, Bytes bytes) const {
    while (!bytes.empty()) {
      const ssize_t count = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw system_error(errno, "cannot write", path_);
      bytes = bytes.subspan(static_cast<size_t>(count));
      offset += static_cast<uint64_t>(count);
    }
  }

  void read(uint64_t offset, MutableBytes out) const {
    while (!out.empty()) {
      const ssize_t count = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) throw system_error(errno, "cannot read", path_);
      if (count == 0) throw Error(Code::integrity, "", "the file shrank while it was written", Where::in(path_));
      out = out.subspan(static_cast<size_t>(count));
      offset += static_cast<uint64_t>(count);
    }
  }

  void cut(uint64_t size_bytes) const {
    if (::ftruncate(fd_, static_cast<off_t>(size_bytes)) != 0) throw system_error(errno, "cannot cut", path_);
  }
  void remove() const { ::unlink(path_.c_str()); }

  // The name that others look for: only now may they. Not synced, as huggingface_hub does not: a cache that a power failure
  // has emptied is found out by its sizes.
  void become(const fs::path& target) const {
    if (::rename(path_.c_str(), target.c_str()) != 0) throw system_error(errno, "cannot write", target);
  }

 private:
  fs::path path_;
  int fd_ = -1;
  uint64_t had_bytes_ = 0;
};

// Hashes a file in order while others write it.
class Follower {
 public:
  Follower(const PartFile& part, const RepoFile& file, const std::function<void(uint64_t)>& on_bytes)
      : part_(part),
        hash_(file.etag(), file.size_bytes),
        on_bytes_(on_bytes),
        buffer_(std::make_unique_for_overwrite<std::byte[]>(kHashBytes)) {}

  uint64_t done_bytes() const noexcept { return done_bytes_; }
  void update(Bytes bytes) {
    hash_.update(bytes);
    done_bytes_ += bytes.size();
    if (on_bytes_) on_bytes_(done_bytes_);
  }
  void follow_to(uint64_t end) {
    while (done_bytes_ < end) {
      const MutableBytes out(buffer_.get(), std::min(kHashBytes, end - done_bytes_));
      part_.read(done_bytes_, out);
      update(out);
    }
  }
  std::string hex() { return hash_.hex(); }

 private:
  const PartFile& part_;
  ContentHash hash_;
  const std::function<void(uint64_t)>& on_bytes_;
  std::unique_ptr<std::byte[]> buffer_;
  uint64_t done_bytes_ = 0;
};

// Several ranges at once, written where they belong; this thread hashes behind them.
class ManyRanges {
 public:
  ManyRanges(RangedFile& remote, const PartFile& part, uint64_t begin, uint64_t end, unsigned connections)
      : remote_(remote),
        part_(part),
        begin_(begin),
        end_(end),
        pieces_ahead_(connections),
        done_((end - begin + kPieceBytes - 1) / kPieceBytes) {
    for (unsigned i = 0; i < pieces_ahead_; ++i) workers_.emplace_back([this] { work(); });
  }
  ~ManyRanges() {
    {
      std::scoped_lock lock(mutex_);
      is_stopped_ = true;
    }
    changed_.notify_all();
    workers_.clear();
  }
  ManyRanges(const ManyRanges&) = delete;
  ManyRanges& operator=(const ManyRanges&) = delete;

  // Throws what a worker met.
  void follow(Follower& follower) {
    while (follower.done_bytes() < end_) {
      uint64_t ready = 0;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return whole_to() > follower.done_bytes() || failed_; });
        if (failed_) std::rethrow_exception(failed_);
        ready = whole_to();
      }
      follower.follow_to(ready);
    }
  }

 private:
  uint64_t begin_of(size_t piece) const { return std::min(end_, begin_ + piece * kPieceBytes); }
  // No byte is missing before this one.
  uint64_t whole_to() const { return first_ == done_.size() ? end_ : begin_of(first_) + done_[first_]; }

  std::optional<size_t> take() {
    std::unique_lock lock(mutex_);
    changed_.wait(
        lock, [&] { return is_stopped_ || failed_ || next_ == done_.size() || next_ < first_ + pieces_ahead_; });
    if (is_stopped_ || failed_ || next_ == done_.size()) return {};
    return next_++;
  }

  void advance(size_t piece, uint64_t to) {
    std::scoped_lock lock(mutex_);
    if (is_stopped_ || failed_) throw Error(Code::cancelled, "", "stopped");
    done_[piece] = to - begin_of(piece);
    while (first_ < done_.size() && begin_of(first_) + done_[first_] == begin_of(first_ + 1)) ++first_;
    changed_.notify_all();
  }

  void work() {
    try {
      while (std::optional<size_t> piece = take()) {
        remote_.read(begin_of(*piece), begin_of(*piece + 1), RangedFile::Whole::refuse, [&](uint64_t at, Bytes bytes) {
          part_.write(at, bytes);
          advance(*piece, at + bytes.size());
        });
      }
    } catch (...) {
      std::scoped_lock lock(mutex_);
      if (!failed_) failed_ = std::current_exception();
    }
    changed_.notify_all();
  }

  RangedFile& remote_;
  const PartFile& part_;
  const uint64_t begin_, end_;
  const size_t pieces_ahead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<uint64_t> done_;  ///< bytes of each piece
  size_t first_ = 0;            ///< piece with a missing byte
  size_t next_ = 0;             ///< piece that nobody has taken
  bool is_stopped_ = false;
  std::exception_ptr failed_;
  std::vector<std::jthread> workers_;
};

// Everything that is missing, hashed on the way. Returns the digest.
std::string fetch_rest(RangedFile& remote, const PartFile& part, const RepoFile& file, uint64_t kept_bytes,
    unsigned connections, const std::function<void(uint64_t)>& on_bytes) {
  Follower follower(part, file, on_bytes);
  follower.follow_to(kept_bytes);
  if (is_large(file.size_bytes) && connections > 1) {
    try {
      ManyRanges ranges(remote, part, kept_bytes, file.size_bytes, connections);
      ranges.follow(follower);
    } catch (const NoRanges&) {
      part.cut(follower.done_bytes());
    } catch (...) {
      // Cut where the bytes are known to be whole, and then so much further that a later process keeps them all.
      part.cut(std::min(file.size_bytes, follower.done_bytes() + kWindowBytes));
      throw;
    }
  }
  remote.read(follower.done_bytes(), file.size_bytes, RangedFile::Whole::skip, [&](uint64_t at, Bytes bytes) {
    part.write(at, bytes);
    follower.update(bytes);
  });
  return follower.hex();
}

// How much of what an earlier process left is whole.
uint64_t whole_bytes(const PartFile& part, const RepoFile& file) {
  if (part.had_bytes() > file.size_bytes) return 0;
  if (!is_large(file.size_bytes)) return part.had_bytes();
  return part.had_bytes() > kWindowBytes ? part.had_bytes() - kWindowBytes : 0;
}

}  // namespace

uint64_t fetch_blob(const Client& client, const Cache& cache, const RepoId& repo, const RepoFile& file,
    const std::string& url, const std::string& about, const std::function<void(uint64_t)>& on_bytes) {
  const unsigned connections = std::clamp(client.settings().connections, 1u, kMaxConnections);
  const os::FileLock lock(cache.lock_path(repo, file.etag()), client.settings().check_cancelled);
  if (cache.find_blob(repo, file)) return 0;  // another process was faster

  const fs::path target = cache.blob_path(repo, file.etag());
  RangedFile remote(client, url, about, file.size_bytes);
  for (int tries = 0;; ++tries) {
    const PartFile part(target.string() + ".depickle.incomplete", file.size_bytes);
    const uint64_t kept_bytes = tries == 0 ? whole_bytes(part, file) : 0;
    if (kept_bytes == 0) part.cut(0);
    std::string digest;
    try {
      digest = fetch_rest(remote, part, file, kept_bytes, connections, on_bytes);
    } catch (const Error& error) {
      if (error.code() == Code::integrity) part.remove();
      throw;
    }
    if (digest == file.etag()) {
      part.cut(file.size_bytes);
      part.become(target);
      return remote.transferred_bytes();
    }
    part.remove();
    // What was kept, or came, may have been damaged on this disk or on the way: once more, from the start.
    if (tries > 0)
      throw Error(Code::integrity, "",
          fmt::format("the content is not what the Hub promised (have {} {}, need {})",
              digest.size() == 64 ? "SHA-256" : "git SHA-1", digest, file.etag()),
          Where::in(about), "try again later; if it stays so, tell the owner of the repository");
  }
}

}  // namespace depickle::hub
