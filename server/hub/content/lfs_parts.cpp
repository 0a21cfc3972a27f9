// LFS uploads in parts.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/sha256.h"
#include "depickle/base/text.h"
#include "server/base/random_id.h"
#include "server/base/sync.h"
#include "server/hub/content/lfs.h"
#include "server/hub/content/lfs_file.h"
#include "server/hub/git/store_error.h"

namespace depickle::server::content {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxParts = 10'000;

uint64_t part_count(uint64_t size_bytes, uint64_t part_bytes) {
  return size_bytes / part_bytes + (size_bytes % part_bytes != 0);
}

void check_parts(const Context& context, std::string_view oid, uint64_t size_bytes, uint64_t part_bytes) {
  check_oid(oid);
  if (size_bytes == 0 || size_bytes > context.limits.lfs_file_bytes) {
    throw StoreError(StoreReason::too_large, fmt::format("an upload in parts has 1 to {} bytes (have {})",
                                                 grouped(context.limits.lfs_file_bytes), grouped(size_bytes)));
  }
  if (part_bytes == 0 || part_count(size_bytes, part_bytes) > kMaxParts)
    throw StoreError(StoreReason::malformed, fmt::format("an upload has at most {} parts", grouped(kMaxParts)));
}

// Returns the SHA-256 of a file and whether its size is `size_bytes`.
std::pair<std::string, bool> digest_of(const os::FileDescriptor& fd, const fs::path& file, uint64_t size_bytes) {
  Sha256 sha256;
  uint64_t total_bytes = 0;
  read_pieces(fd, file, [&](Bytes piece) {
    sha256.update(piece);
    total_bytes += piece.size();
  });
  return {sha256.hex(), total_bytes == size_bytes};
}

}  // namespace

struct LfsPart::State {
  Context& context;
  std::string user, oid;
  uint64_t part_bytes, number, begin, end;
  fs::path path;
  os::FileDescriptor file;
  uint64_t written_bytes = 0;
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
  uint64_t begin = (number - 1) * part_bytes, end = std::min(size_bytes, begin + part_bytes);
  fs::path path = context.parts_file(user, oid);
  fs::create_directories(path.parent_path());
  // A part that is sent again is missing until it is complete.
  context.database->run("DELETE FROM parts WHERE user = ? AND oid = ? AND chunk = ? AND number = ?",
      {user, oid, static_cast<int64_t>(part_bytes), static_cast<int64_t>(number)});
  os::FileDescriptor file = os::open_file(path, O_RDWR | O_CREAT, 0666);
  state_.reset(new State{
      context, std::move(user), std::move(oid), part_bytes, number, begin, end, path, std::move(file), 0, {}});
}
LfsPart::~LfsPart() = default;
LfsPart::LfsPart(LfsPart&&) noexcept = default;

void LfsPart::append(Bytes bytes) {
  State& state = *state_;
  uint64_t size_bytes = state.end - state.begin;
  if (bytes.size() > size_bytes - state.written_bytes) {
    throw StoreError(
        StoreReason::too_large, fmt::format("part {} is longer than {} bytes", state.number, grouped(size_bytes)));
  }
  os::write_all_at(state.file.get(), state.begin + state.written_bytes, bytes, state.path.string());
  state.sha256.update(bytes);
  state.written_bytes += bytes.size();
}

std::string LfsPart::finish() {
  State& state = *state_;
  uint64_t size_bytes = state.end - state.begin;
  if (state.written_bytes != size_bytes) {
    throw StoreError(StoreReason::malformed, fmt::format("part {} is too short (have {} bytes, need {})", state.number,
                                                 grouped(state.written_bytes), grouped(size_bytes)));
  }
  // Not synced: complete() checks the SHA-256 of the whole file, which detects bytes that a crash lost.
  state.context.database->run("INSERT OR IGNORE INTO parts VALUES(?, ?, ?, ?)",
      {state.user, state.oid, static_cast<int64_t>(state.part_bytes), static_cast<int64_t>(state.number)});
  return state.sha256.hex();
}

LfsPart Lfs::part(
    std::string_view user, std::string_view oid, uint64_t size_bytes, uint64_t part_bytes, uint64_t number) {
  return LfsPart(context_, std::string(user), std::string(oid), size_bytes, part_bytes, number);
}

bool Lfs::has_part(std::string_view user, std::string_view oid, uint64_t part_bytes, uint64_t number) const {
  return context_.database
      ->number("SELECT 1 FROM parts WHERE user = ? AND oid = ? AND chunk = ? AND number = ?",
          {user, oid, static_cast<int64_t>(part_bytes), static_cast<int64_t>(number)})
      .has_value();
}

void Lfs::complete(std::string_view user, std::string_view oid, uint64_t size_bytes, uint64_t part_bytes) {
  check_parts(context_, oid, size_bytes, part_bytes);
  const fs::path file = context_.parts_file(user, oid);
  uint64_t received = static_cast<uint64_t>(context_.database
          ->number("SELECT COUNT(*) FROM parts WHERE user = ? AND oid = ? AND chunk = ?",
              {user, oid, static_cast<int64_t>(part_bytes)})
          .value_or(0));
  if (!fs::exists(file)) received = 0;  // a power loss may lose the file, which is not synced, but not the rows
  if (received != part_count(size_bytes, part_bytes)) {
    throw StoreError(StoreReason::malformed,
        fmt::format("parts are missing (have {}, need {})", received, part_count(size_bytes, part_bytes)),
        "upload them first");
  }
  // The parts are consumed even if the SHA-256 is wrong. The file gets another name first, so that a late part cannot
  // write to it.
  const fs::path renamed = context_.temporary_folder() / random_hex(24);
  os::FileDescriptor fd = os::open_file(file, O_RDWR);
  context_.database->run("DELETE FROM parts WHERE user = ? AND oid = ?", {user, oid});
  if (::rename(file.c_str(), renamed.c_str()) != 0) throw system_error(errno, "cannot rename to", renamed.string());
  auto [found, is_whole] = digest_of(fd, renamed, size_bytes);
  if (found != oid || !is_whole) {
    ::unlink(renamed.c_str());
    throw_wrong_sha256(found, oid);
  }
  if (fs::exists(context_.lfs_file(oid))) {
    ::unlink(renamed.c_str());
  } else {
    sync_and_rename(fd.get(), renamed, context_.lfs_file(oid));
  }
  record_ownership(context_, user, oid, size_bytes);
}

}  // namespace depickle::server::content
