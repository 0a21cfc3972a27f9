#include "server/hub/content/gc.h"

#include <chrono>
#include <filesystem>

namespace depickle::server::content {

namespace fs = std::filesystem;

// A new part changes the time of its folder. The folder may get another part meanwhile, which is then removed too: its
// upload fails with missing parts and is started again.
void remove_expired_parts(const Context& context) {
  std::error_code ignored;
  constexpr auto kMaxAge = std::chrono::hours(24 * 7);
  for (const auto& user : fs::directory_iterator(context.folder / "parts", ignored)) {
    for (const auto& upload : fs::directory_iterator(user.path(), ignored)) {
      if (fs::file_time_type::clock::now() - upload.last_write_time(ignored) >= kMaxAge)
        fs::remove_all(upload.path(), ignored);
    }
  }
}

}  // namespace depickle::server::content
