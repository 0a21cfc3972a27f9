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
#include <system_error>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/hub/content_hash.h"
#include "depickle/hub/ranged_file.h"
#include "depickle/os/file_descriptor.h"
#include "depickle/os/file_lock.h"

namespace depickle::hub {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMinParallelBytes = 64 << 20, kPieceBytes = 8 << 20, kHashPieceBytes = 1 << 20;
constexpr unsigned kMaxConnections = 8;

bool is_large(uint64_t size_bytes) { return size_bytes >= kMinParallelBytes; }

// Pieces in flight are at most this far after the first missing byte, whatever the settings. So the file of a killed
// process is complete up to its size less this.
constexpr uint64_t kWindowBytes = kPieceBytes * kMaxConnections;

class IncompleteFile {
 public:
  IncompleteFile(fs::path path, uint64_t size_bytes)
      : path_(std::move(path)),
        file_(os::open_file(path_, O_RDWR | O_CREAT | O_NOFOLLOW, 0666, "cannot write")) {
    struct stat status;
    if (::fstat(file_.get(), &status) == 0) had_bytes_ = static_cast<uint64_t>(status.st_size);
    // Finds a full disk early. Not all file systems support it.
    if (size_bytes > 0 && ::fallocate(file_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size_bytes)) != 0 &&
        errno == ENOSPC)
      throw system_error(ENOSPC, "cannot write", path_);
  }
  // An empty file is of no use to a later download.
  ~IncompleteFile() {
    struct stat status;
    if (::fstat(file_.get(), &status) == 0 && status.st_size == 0) remove();
  }
  IncompleteFile(const IncompleteFile&) = delete;
  IncompleteFile& operator=(const IncompleteFile&) = delete;

  /// The size at opening.
  uint64_t had_bytes() const noexcept { return had_bytes_; }

  void write(uint64_t offset, Bytes bytes) const { os::write_all_at(file_.get(), offset, bytes, path_); }
  void read(uint64_t offset, MutableBytes out) const {
    if (os::read_all_at(file_.get(), offset, out, path_) < out.size())
      throw Error(Code::integrity, "", "the file shrank while it was written", Where::in(path_));
  }
  void truncate(uint64_t size_bytes) const {
    if (::ftruncate(file_.get(), static_cast<off_t>(size_bytes)) != 0)
      throw system_error(errno, "cannot truncate", path_);
  }
  void remove() const { ::unlink(path_.c_str()); }

  // Makes the file visible to other programs. Not synced, as in huggingface_hub: a blob that a power failure has
  // truncated is recognized by its size.
  void rename_to(const fs::path& target) const {
    if (::rename(path_.c_str(), target.c_str()) != 0) throw system_error(errno, "cannot write", target);
  }

 private:
  fs::path path_;
  os::FileDescriptor file_;
  uint64_t had_bytes_ = 0;
};

// Hashes a file in order while other threads write it.
class FollowingHash {
 public:
  FollowingHash(const IncompleteFile& target, const RepoFile& file, const std::function<void(uint64_t)>& on_bytes)
      : target_(target),
        hash_(file.etag(), file.size_bytes),
        on_bytes_(on_bytes),
        buffer_(std::make_unique_for_overwrite<std::byte[]>(kHashPieceBytes)) {}

  uint64_t done_bytes() const noexcept { return done_bytes_; }
  void update(Bytes bytes) {
    hash_.update(bytes);
    done_bytes_ += bytes.size();
    if (on_bytes_) on_bytes_(done_bytes_);
  }
  void read_to(uint64_t end) {
    while (done_bytes_ < end) {
      const MutableBytes out(buffer_.get(), std::min(kHashPieceBytes, end - done_bytes_));
      target_.read(done_bytes_, out);
      update(out);
    }
  }
  std::string hex() { return hash_.hex(); }

 private:
  const IncompleteFile& target_;
  ContentHash hash_;
  const std::function<void(uint64_t)>& on_bytes_;
  std::unique_ptr<std::byte[]> buffer_;
  uint64_t done_bytes_ = 0;
};

// Downloads several ranges at a time and writes them to their offsets. The calling thread hashes them in order.
class ParallelRanges {
 public:
  ParallelRanges(RangedFile& remote, const IncompleteFile& target, uint64_t begin, uint64_t end, unsigned connections)
      : remote_(remote),
        target_(target),
        begin_(begin),
        end_(end),
        max_pieces_ahead_(connections),
        done_bytes_((end - begin + kPieceBytes - 1) / kPieceBytes) {
    workers_.reserve(connections);
    while (workers_.size() < connections && start_worker()) {
    }
  }
  ~ParallelRanges() {
    {
      std::scoped_lock lock(mutex_);
      is_stopped_ = true;
    }
    changed_.notify_all();
    workers_.clear();
  }
  ParallelRanges(const ParallelRanges&) = delete;
  ParallelRanges& operator=(const ParallelRanges&) = delete;

  // Throws the first exception of a worker.
  void hash_to_end(FollowingHash& hash) {
    while (hash.done_bytes() < end_) {
      uint64_t ready = 0;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return complete_to() > hash.done_bytes() || failed_; });
        if (failed_) std::rethrow_exception(failed_);
        ready = complete_to();
      }
      hash.read_to(ready);
    }
  }

 private:
  uint64_t begin_of(size_t piece) const { return std::min(end_, begin_ + piece * kPieceBytes); }
  // All bytes before this one are written.
  uint64_t complete_to() const { return first_ == done_bytes_.size() ? end_ : begin_of(first_) + done_bytes_[first_]; }

  // Returns false if the system does not allow more threads. One is enough.
  bool start_worker() {
    try {
      workers_.emplace_back([this] { work(); });
      return true;
    } catch (const std::system_error& error) {
      if (workers_.empty()) throw system_error(error.code().value(), "cannot start a thread", {});
      return false;
    }
  }

  std::optional<size_t> take_piece() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock,
        [&] { return is_stopped_ || failed_ || next_ == done_bytes_.size() || next_ < first_ + max_pieces_ahead_; });
    if (is_stopped_ || failed_ || next_ == done_bytes_.size()) return {};
    return next_++;
  }

  void advance(size_t piece, uint64_t to) {
    std::scoped_lock lock(mutex_);
    if (is_stopped_ || failed_) throw Error(Code::cancelled, "", "stopped");
    done_bytes_[piece] = to - begin_of(piece);
    while (first_ < done_bytes_.size() && begin_of(first_) + done_bytes_[first_] == begin_of(first_ + 1)) ++first_;
    changed_.notify_all();
  }

  void work() {
    try {
      while (std::optional<size_t> piece = take_piece()) {
        remote_.read(
            begin_of(*piece), begin_of(*piece + 1), RangedFile::IfWhole::refuse, [&](uint64_t at, Bytes bytes) {
              target_.write(at, bytes);
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
  const IncompleteFile& target_;
  const uint64_t begin_, end_;
  const size_t max_pieces_ahead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<uint64_t> done_bytes_;  ///< by piece
  size_t first_ = 0;                  ///< first piece with a missing byte
  size_t next_ = 0;                   ///< first piece that no worker has taken
  bool is_stopped_ = false;
  std::exception_ptr failed_;
  std::vector<std::jthread> workers_;
};

// Downloads and hashes everything after the first `kept_bytes`. Returns the digest of the file.
std::string fetch_rest(RangedFile& remote, const IncompleteFile& target, const RepoFile& file, uint64_t kept_bytes,
    unsigned connections, const std::function<void(uint64_t)>& on_bytes) {
  FollowingHash hash(target, file, on_bytes);
  hash.read_to(kept_bytes);
  if (is_large(file.size_bytes) && connections > 1) {
    try {
      ParallelRanges ranges(remote, target, kept_bytes, file.size_bytes, connections);
      ranges.hash_to_end(hash);
    } catch (const RangesUnsupported&) {
      target.truncate(hash.done_bytes());
    } catch (...) {
      // A later process keeps the size less kWindowBytes, which are the bytes that are known to be complete.
      target.truncate(std::min(file.size_bytes, hash.done_bytes() + kWindowBytes));
      throw;
    }
  }
  remote.read(hash.done_bytes(), file.size_bytes, RangedFile::IfWhole::skip, [&](uint64_t at, Bytes bytes) {
    target.write(at, bytes);
    hash.update(bytes);
  });
  return hash.hex();
}

// The number of complete bytes that an earlier process has left.
uint64_t complete_bytes(const IncompleteFile& target, const RepoFile& file) {
  if (target.had_bytes() > file.size_bytes) return 0;
  if (!is_large(file.size_bytes)) return target.had_bytes();
  return target.had_bytes() > kWindowBytes ? target.had_bytes() - kWindowBytes : 0;
}

}  // namespace

uint64_t fetch_blob(const Client& client, const Cache& cache, const RepoId& repo, const RepoFile& file,
    const std::string& url, const std::string& about, const std::function<void(uint64_t)>& on_bytes) {
  const unsigned connections = std::clamp(client.settings().connections, 1u, kMaxConnections);
  const os::FileLock lock(cache.lock_path(repo, file.etag()), client.settings().check_cancelled);
  if (cache.find_blob(repo, file)) return 0;  // another process has downloaded it

  const fs::path blob = cache.blob_path(repo, file.etag());
  RangedFile remote(client, url, about, file.size_bytes);
  for (bool is_retry = false;; is_retry = true) {
    const IncompleteFile target(blob.string() + ".depickle.incomplete", file.size_bytes);
    const uint64_t kept_bytes = is_retry ? 0 : complete_bytes(target, file);
    if (kept_bytes == 0) target.truncate(0);
    std::string digest;
    try {
      digest = fetch_rest(remote, target, file, kept_bytes, connections, on_bytes);
    } catch (const Error& error) {
      if (error.code() == Code::integrity) target.remove();
      throw;
    }
    if (digest == file.etag()) {
      target.truncate(file.size_bytes);
      target.rename_to(blob);
      return remote.transferred_bytes();
    }
    target.remove();
    // The bytes may have been damaged on this disk or in transfer: download everything once more.
    if (is_retry)
      throw Error(Code::integrity, "",
          fmt::format("the content does not have the expected hash (have {} {}, need {})",
              digest.size() == 64 ? "SHA-256" : "git SHA-1", digest, file.etag()),
          Where::in(about), "try again later; if the error remains, tell the owner of the repository");
  }
}

}  // namespace depickle::hub
