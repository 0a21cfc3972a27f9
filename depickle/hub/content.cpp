#include "depickle/hub/content.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <span>

#include "depickle/base/base64.h"
#include "depickle/base/error.h"

namespace depickle::hub {

std::shared_ptr<const os::MappedFile> open_content(const Addition& addition) {
  if (const auto* path = std::get_if<std::filesystem::path>(&addition.content))
    return os::MappedFile::adopt(os::open_file(*path, O_RDONLY | O_NONBLOCK), *path);
  os::FileDescriptor file(::memfd_create("depickle", MFD_CLOEXEC));
  if (!file) throw system_error(errno, "cannot create a file in memory", addition.path);
  os::write_all(file.get(), bytes(std::get<std::string>(addition.content)), addition.path);
  return os::MappedFile::adopt(std::move(file), addition.path);
}

std::string read_base64(const os::MappedFile& content, uint64_t offset, uint64_t length) {
  std::string raw(length, '\0');
  content.read(offset, std::as_writable_bytes(std::span(raw)));
  return base64_encode(bytes(raw));
}

}  // namespace depickle::hub
