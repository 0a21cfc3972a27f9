#include "depickle/weights/shard_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <deque>

#include "depickle/base/error.h"
#include "depickle/formats/detect/file_name.h"
#include "depickle/os/file_status.h"
#include "depickle/os/mapped_file.h"
#include "depickle/os/open_beneath.h"

namespace depickle::weights {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxEntries = 100'000;

using Root = std::shared_ptr<const os::FileDescriptor>;

// A listed file, with links resolved.
struct ListedFile {
  std::string name;  // relative to the folder
  Root root;         // nullptr if the file is outside of the folders that may be read
  fs::path path;     // relative to `root`
  struct stat status;
};

Root open_root(const fs::path& folder) {
  return std::make_shared<const os::FileDescriptor>(os::open_file(folder, O_PATH | O_DIRECTORY));
}

// Returns the folder of the blobs if `folder` is in a snapshot of the Hub's cache: REPO/snapshots/COMMIT/...
fs::path blobs_of(const fs::path& folder) {
  for (fs::path at = folder; at.has_relative_path(); at = at.parent_path())
    if (at.parent_path().filename() == "snapshots") return at.parent_path().parent_path() / "blobs";
  return {};
}

class ShardListing {
 public:
  explicit ShardListing(const fs::path& folder)
      : folder_(folder.empty() ? "." : folder),
        canonical_(fs::canonical(folder_)),
        blobs_(blobs_of(canonical_)),
        root_(open_root(folder_)) {}

  std::vector<ListedFile> run() {
    std::deque<fs::path> folders{fs::path()};
    for (size_t entries = 0; !folders.empty(); folders.pop_front()) {
      std::error_code error;
      fs::directory_iterator walk(folder_ / folders.front(), error);
      if (error && folders.front().empty()) throw system_error(error.value(), "cannot list", folder_);
      for (; !error && walk != fs::directory_iterator(); walk.increment(error)) {
        if (++entries > kMaxEntries) return std::move(files_);
        const fs::path name = folders.front() / walk->path().filename();
        std::error_code ignored;
        if (detect::is_weights_name(name.native())) {
          add(name);
        } else if (walk->symlink_status(ignored).type() == fs::file_type::directory &&
                   !name.filename().native().starts_with('.')) {
          folders.push_back(name);
        }
      }
    }
    return std::move(files_);
  }

 private:
  void add(const fs::path& name) {
    ListedFile file{.name = name, .root = root_, .path = name, .status = {}};
    if (::fstatat(root_->get(), name.c_str(), &file.status, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (S_ISLNK(file.status.st_mode) && !resolve(file)) return;
    files_.push_back(std::move(file));
  }

  // Returns whether the link leads to a file.
  bool resolve(ListedFile& link) {
    std::error_code error;
    const fs::path target = fs::canonical(folder_ / link.name, error);
    if (error) return false;
    const fs::path below = target.lexically_relative(canonical_);
    if (!below.empty() && *below.begin() != "..") {
      link.path = below;
    } else if (!blobs_.empty() && target.parent_path() == blobs_) {
      if (!blobs_root_) blobs_root_ = open_root(blobs_);
      link.root = blobs_root_;
      link.path = target.filename();
    } else {
      link.root = nullptr;
      return true;
    }
    return ::fstatat(link.root->get(), link.path.c_str(), &link.status, AT_SYMLINK_NOFOLLOW) == 0;
  }

  const fs::path folder_, canonical_, blobs_;
  const Root root_;
  Root blobs_root_;
  std::vector<ListedFile> files_;
};

std::shared_ptr<const ByteSource> open_listed(const ListedFile& file, const fs::path& folder) {
  const std::string shown = folder / file.name;
  if (!file.root)
    throw Error(Code::unsafe, "", "is a link to a file outside of the model's folder", Where::in(shown),
        "copy the file into the folder of the index");
  os::FileDescriptor opened = os::open_beneath(file.root->get(), file.path, O_RDONLY | O_NONBLOCK, shown);
  const struct stat status = os::status_of(opened.get(), shown);
  if (status.st_dev != file.status.st_dev || status.st_ino != file.status.st_ino)
    throw Error(Code::integrity, "", "the file was replaced after the folder was listed", Where::in(shown),
        "try again when no program writes to the folder");
  return os::MappedFile::adopt(std::move(opened), shown);
}

}  // namespace

ShardFiles list_shard_files(const fs::path& folder) {
  auto files = std::make_shared<std::vector<ListedFile>>();
  try {
    *files = ShardListing(folder).run();
  } catch (const fs::filesystem_error& error) {
    throw system_error(error.code().value(), "cannot list", folder);
  }
  std::ranges::sort(*files, {}, &ListedFile::name);
  ShardFiles shards;
  for (const ListedFile& file : *files) {
    shards.names.push_back(file.name);
    if (S_ISREG(file.status.st_mode)) shards.size_bytes += static_cast<uint64_t>(file.status.st_size);
  }
  shards.open = [files, folder](size_t number) { return open_listed(files->at(number), folder); };
  return shards;
}

}  // namespace depickle::weights
