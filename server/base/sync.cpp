#include "server/base/sync.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "depickle/base/error.h"
#include "depickle/os/file_descriptor.h"

namespace depickle::server {
namespace {

namespace fs = std::filesystem;

void sync(int descriptor, const fs::path& path) {
  if (::fsync(descriptor) != 0) throw system_error(errno, "cannot sync", path.string());
}

}  // namespace

void sync_folder(const fs::path& folder) {
  sync(os::open_file(folder, O_RDONLY | O_DIRECTORY, 0, "cannot open the folder").get(), folder);
}

void sync_tree(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.is_symlink()) continue;
    if (entry.is_directory()) {
      sync_tree(entry.path());
    } else {
      sync(os::open_file(entry.path(), O_RDONLY).get(), entry.path());
    }
  }
  sync_folder(folder);
}

void create_folders(const fs::path& folder) {
  if (fs::is_directory(folder)) return;
  fs::path parent = fs::absolute(folder).parent_path();
  create_folders(parent);
  if (::mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST)
    throw system_error(errno, "cannot create the folder", folder.string());
  sync_folder(parent);
}

void make_private_folder(const fs::path& folder) {
  create_folders(folder);
  os::FileDescriptor descriptor = os::open_file(folder, O_RDONLY | O_DIRECTORY, 0, "cannot open the folder");
  struct stat status{};
  if (::fstat(descriptor.get(), &status) != 0) throw system_error(errno, "cannot stat", folder.string());
  if ((status.st_mode & 07777) == 0700) return;
  if (::fchmod(descriptor.get(), 0700) != 0) throw system_error(errno, "cannot set the mode of", folder.string());
}

void sync_and_rename(int descriptor, const fs::path& file, const fs::path& target) {
  sync(descriptor, file);
  create_folders(target.parent_path());
  if (::rename(file.c_str(), target.c_str()) != 0) throw system_error(errno, "cannot rename to", target.string());
  sync_folder(target.parent_path());
}

}  // namespace depickle::server
