// LFS uploads in parts: PARTS/USER/OID/PART_BYTES-NUMBER contains a complete part. Nobody has such a file open for
// writing.
#include <fcntl.h>

#include <cerrno>
#include <cstdio>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/sha256.h"
#include "depickle/base/text.h"
#include "server/base/random_id.h"
#include "server/base/temporary_file.h"
#include "server/hub/content/lfs.h"
#include "server/hub/content/lfs_file.h"
#include "server/hub/content/object_uses.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::content {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxParts = 10'000;

uint64_t part_count(uint64_t size_bytes, uint64_t part_bytes) {
  return size_bytes / part_bytes + (size_bytes % part_bytes != 0);
}

uint64_t bytes_of_part(uint64_t size_bytes, uint64_t part_bytes, uint64_t number) {
  uint64_t begin = (number - 1) * part_bytes;
  return std::min(size_bytes - begin, part_bytes);
}

std::string part_name(uint64_t part_bytes, uint64_t number) { return fmt::format("{}-{}", part_bytes, number); }

void check_parts(const Context& context, std::string_view oid, uint64_t size_bytes, uint64_t part_bytes) {
  check_oid(oid);
  if (size_bytes == 0 || size_bytes > context.limits.lfs_file_bytes) {
    throw StoreError(StoreReason::too_large, fmt::format("an upload in parts has 1 to {} bytes (have {})",
                                                 grouped(context.limits.lfs_file_bytes), grouped(size_bytes)));
  }
  if (part_bytes == 0 || part_count(size_bytes, part_bytes) > kMaxParts)
    throw StoreError(StoreReason::malformed, fmt::format("an upload has at most {} parts", grouped(kMaxParts)));
}

// A part whose size is wrong was not synced before a power loss.
uint64_t count_parts(const fs::path& folder, uint64_t size_bytes, uint64_t part_bytes) {
  uint64_t complete = 0, count = part_count(size_bytes, part_bytes);
  for (uint64_t number = 1; number <= count; ++number) {
    std::error_code missing;
    uint64_t bytes = fs::file_size(folder / part_name(part_bytes, number), missing);
    if (!missing && bytes == bytes_of_part(size_bytes, part_bytes, number)) ++complete;
  }
  return complete;
}

// The parts of one upload, moved to where no request adds parts. The destructor removes the parts.
class ClaimedParts {
 public:
  ClaimedParts(const Context& context, fs::path folder)
      : folder_(std::move(folder)),
        claimed_(context.temporary_folder() / random_hex(24)) {
    if (::rename(folder_.c_str(), claimed_.c_str()) != 0)
      throw system_error(errno, "cannot rename to", claimed_.string());
  }
  ~ClaimedParts() {
    std::error_code ignored;
    fs::remove_all(claimed_, ignored);
  }
  ClaimedParts(const ClaimedParts&) = delete;
  ClaimedParts& operator=(const ClaimedParts&) = delete;

  // Appends the parts to `joined` and removes them. Returns the SHA-256.
  std::string join(uint64_t parts, uint64_t part_bytes, TemporaryFile& joined) {
    Sha256 sha256;
    for (uint64_t number = 1; number <= parts; ++number) {
      const fs::path part = claimed_ / part_name(part_bytes, number);
      try {
        read_pieces(os::open_file(part, O_RDONLY), part, [&](Bytes piece) {
          sha256.update(piece);
          joined.append(piece);
        });
      } catch (const Error&) {
        if (number == 1) ::rename(claimed_.c_str(), folder_.c_str());  // all parts exist: the client may try again
        throw;
      }
      fs::remove(part);
    }
    return sha256.hex();
  }

 private:
  fs::path folder_, claimed_;
};

// Prevents that two requests complete an upload at the same time.
class JoiningUpload {
 public:
  JoiningUpload(std::mutex& mutex, std::set<std::string, std::less<>>& joining, std::string key)
      : mutex_(mutex),
        joining_(joining),
        key_(std::move(key)) {
    std::lock_guard lock(mutex_);
    if (!joining_.insert(key_).second)
      throw StoreError(StoreReason::conflict, "another request completes this upload", "wait until it ends");
  }
  ~JoiningUpload() {
    std::lock_guard lock(mutex_);
    joining_.erase(key_);
  }
  JoiningUpload(const JoiningUpload&) = delete;
  JoiningUpload& operator=(const JoiningUpload&) = delete;

 private:
  std::mutex& mutex_;
  std::set<std::string, std::less<>>& joining_;
  std::string key_;
};

}  // namespace

struct LfsPart::State {
  Context& context;
  std::string user, oid;
  uint64_t part_bytes, number, size_bytes;
  TemporaryFile file;
  Sha256 sha256;
};

LfsPart::LfsPart(
    Context& context, std::string user, std::string oid, uint64_t size_bytes, uint64_t part_bytes, uint64_t number) {
  check_parts(context, oid, size_bytes, part_bytes);
  uint64_t count = part_count(size_bytes, part_bytes);
  if (number == 0 || number > count) {
    throw StoreError(
        StoreReason::malformed, fmt::format("part {} does not exist: the upload has {} parts", number, count));
  }
  state_.reset(new State{context, std::move(user), std::move(oid), part_bytes, number,
      bytes_of_part(size_bytes, part_bytes, number), TemporaryFile(context.temporary_folder()), {}});
}
LfsPart::~LfsPart() = default;
LfsPart::LfsPart(LfsPart&&) noexcept = default;

void LfsPart::append(Bytes bytes) {
  State& state = *state_;
  if (bytes.size() > state.size_bytes - state.file.size_bytes()) {
    throw StoreError(StoreReason::too_large,
        fmt::format("part {} is longer than {} bytes", state.number, grouped(state.size_bytes)));
  }
  state.file.append(bytes);
  state.sha256.update(bytes);
}

std::string LfsPart::finish() {
  State& state = *state_;
  if (state.file.size_bytes() != state.size_bytes) {
    throw StoreError(StoreReason::malformed, fmt::format("part {} is too short (have {} bytes, need {})", state.number,
                                                 grouped(state.file.size_bytes()), grouped(state.size_bytes)));
  }
  // Another request has completed the upload, or the user has uploaded the object in another way.
  if (has_uploaded(state.context, state.user, state.oid)) return state.sha256.hex();
  const fs::path folder = state.context.parts_folder(state.user, state.oid);
  // complete() and gc may remove the folder between the two calls.
  for (int attempts = 3;; --attempts) {
    fs::create_directories(folder);
    try {
      // Not synced: complete() checks the SHA-256 of the whole file, which detects bytes that a crash lost.
      state.file.rename_unsynced_to(folder / part_name(state.part_bytes, state.number));
      return state.sha256.hex();
    } catch (const Error& error) {
      if (error.code() != Code::not_found || attempts == 1) throw;
    }
  }
}

LfsPart Lfs::part(
    std::string_view user, std::string_view oid, uint64_t size_bytes, uint64_t part_bytes, uint64_t number) {
  return LfsPart(context_, std::string(user), std::string(oid), size_bytes, part_bytes, number);
}

bool Lfs::has_part(std::string_view user, std::string_view oid, uint64_t part_bytes, uint64_t number) const {
  return fs::exists(context_.parts_folder(user, oid) / part_name(part_bytes, number));
}

void Lfs::complete(std::string_view user, std::string_view oid, uint64_t size_bytes, uint64_t part_bytes) {
  check_parts(context_, oid, size_bytes, part_bytes);
  const JoiningUpload joining(joining_mutex_, joining_, fmt::format("{}/{}", user, oid));
  // A client that did not receive the response completes the upload again.
  if (uploaded(user, oid) && size_of(oid) == size_bytes) return record_use(*context_.database, oid);
  const fs::path folder = context_.parts_folder(user, oid);
  const uint64_t count = part_count(size_bytes, part_bytes), received = count_parts(folder, size_bytes, part_bytes);
  if (received != count) {
    throw StoreError(StoreReason::malformed, fmt::format("parts are missing (have {}, need {})", received, count),
        "upload them first");
  }
  // From here on a part belongs to another upload. This one is consumed, even if its SHA-256 is wrong.
  ClaimedParts parts(context_, folder);
  TemporaryFile joined(context_.temporary_folder());
  std::string found = parts.join(count, part_bytes, joined);
  if (found != oid || joined.size_bytes() != size_bytes) throw_wrong_sha256(found, oid);
  publish_object(context_, joined, user, oid, size_bytes);
  std::error_code ignored;
  fs::remove_all(folder, ignored);  // parts that were sent again meanwhile
}

}  // namespace depickle::server::content
