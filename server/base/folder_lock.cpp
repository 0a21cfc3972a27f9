#include "server/base/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include "depickle/base/error.h"
#include "server/base/sync.h"

namespace depickle::server {

FolderLock::FolderLock(const std::filesystem::path& folder) {
  create_folders(folder);
  file_ = os::open_file(folder / "lock", O_RDWR | O_CREAT, 0666, "cannot write");
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0)
    throw Error(
        Code::io, Reason::folder_in_use, "another server is using this data folder", Where::in(folder.string()));
}

}  // namespace depickle::server
