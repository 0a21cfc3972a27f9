#include "depickle/repo/files.h"

#include <string_view>
#include <system_error>

#include "depickle/base/error.h"

namespace depickle::repo {
namespace {

namespace fs = std::filesystem;

void throw_if(const std::error_code& failed, std::string_view action, const fs::path& path) {
  if (!failed) return;
  const Error error = system_error(failed.value(), action, path.string());
  throw failed == std::errc::no_space_on_device ? error.with_reason(Reason::no_space) : error;
}

}  // namespace

void create_folder(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  throw_if(failed, "cannot create the folder", folder);
}

void remove_tree(const fs::path& path) {
  std::error_code failed;
  fs::remove_all(path, failed);
  throw_if(failed, "cannot delete", path);
}

void link_to(const fs::path& target, const fs::path& link) {
  std::error_code failed;
  const fs::path resolved = fs::canonical(target, failed);
  throw_if(failed, "cannot open", target);
  fs::create_symlink(resolved, link, failed);
  throw_if(failed, "cannot create the link", link);
}

void copy_new_file(const fs::path& from, const fs::path& to) {
  create_folder(to.parent_path());
  std::error_code failed;
  fs::copy_file(from, to, failed);
  throw_if(failed, "cannot write", to);
}

}  // namespace depickle::repo
