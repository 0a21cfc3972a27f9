#include "server/hub/content/gc.h"

#include <chrono>
#include <filesystem>
#include <string>

namespace depickle::server::content {

namespace fs = std::filesystem;

void remove_expired_parts(Context& context) {
  std::error_code ignored;
  constexpr auto kMaxAge = std::chrono::hours(24 * 7);
  for (const auto& entry : fs::recursive_directory_iterator(context.folder / "parts", ignored)) {
    if (!entry.is_regular_file(ignored)) continue;
    if (fs::file_time_type::clock::now() - entry.last_write_time(ignored) < kMaxAge) continue;
    std::string oid = entry.path().filename().string(), user = entry.path().parent_path().filename().string();
    fs::remove(entry.path(), ignored);
    context.database->run("DELETE FROM parts WHERE user = ? AND oid = ?", {user, oid});
  }
}

}  // namespace depickle::server::content
