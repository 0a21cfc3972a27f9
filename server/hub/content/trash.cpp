#include "server/hub/content/trash.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

#include "depickle/base/error.h"
#include "server/base/random_id.h"

namespace depickle::server::content {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "trash-";

uint64_t allocated_bytes(const fs::path& file) {
  struct stat status{};
  return ::lstat(file.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_blocks) * 512 : 0;
}

}  // namespace

bool move_to_trash(const Context& context, const fs::path& path) {
  const fs::path target = context.temporary_folder() / (kPrefix + random_hex(24));
  if (::rename(path.c_str(), target.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  throw system_error(errno, "cannot move", path.string());
}

Removed empty_trash(const Context& context) {
  Removed removed;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(context.temporary_folder(), ignored)) {
    if (!entry.path().filename().string().starts_with(kPrefix)) continue;
    removed.add(disk_bytes(entry.path()));
    fs::remove_all(entry.path(), ignored);
  }
  return removed;
}

uint64_t disk_bytes(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(fs::symlink_status(path, ignored))) return allocated_bytes(path);
  uint64_t bytes = 0;
  for (auto at = fs::recursive_directory_iterator(path, ignored); at != fs::recursive_directory_iterator();
      at.increment(ignored))
    bytes += allocated_bytes(at->path());
  return bytes;
}

}  // namespace depickle::server::content
