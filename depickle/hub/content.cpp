#include "depickle/hub/content.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include <openssl/evp.h>

#include "depickle/base/error.h"

namespace depickle::hub {
namespace {

int in_memory(const std::string& text) {
  const int fd = ::memfd_create("depickle", MFD_CLOEXEC);
  for (size_t done = 0; fd >= 0 && done < text.size();) {
    const ssize_t count = ::write(fd, text.data() + done, text.size() - done);
    if (count < 0 && errno != EINTR) {
      ::close(fd);
      return -1;
    }
    if (count > 0) done += static_cast<size_t>(count);
  }
  return fd;
}

}  // namespace

Content::Content(const Addition& addition) {
  const auto* path = std::get_if<std::filesystem::path>(&addition.content);
  name_ = path ? path->string() : addition.path;
  fd_ = path ? ::open(path->c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)
             : in_memory(std::get<std::string>(addition.content));
  if (fd_ < 0) throw system_error(errno, "cannot open", name_);
  struct stat status;
  if (::fstat(fd_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd_);
    throw Error(Code::io, "", "is not a regular file", Where::in(name_));
  }
  size_bytes_ = static_cast<uint64_t>(status.st_size);
}

Content::~Content() {
  if (fd_ >= 0) ::close(fd_);
}

Content::Content(Content&& other) noexcept
    : name_(std::move(other.name_)),
      fd_(std::exchange(other.fd_, -1)),
      size_bytes_(other.size_bytes_) {}

void Content::read(uint64_t offset, MutableBytes out) const {
  while (!out.empty()) {
    const ssize_t count = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error(errno, "cannot read", name_);
    if (count == 0) throw Error(Code::integrity, "", "the file shrank while it was read", Where::in(name_));
    out = out.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

std::string Content::base64(uint64_t offset, uint64_t length) const {
  std::string raw(length, '\0'), out((length + 2) / 3 * 4 + 1, '\0');
  read(offset, std::as_writable_bytes(std::span(raw)));
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
      reinterpret_cast<const unsigned char*>(raw.data()), static_cast<int>(raw.size()));
  out.resize(static_cast<size_t>(size));
  return out;
}

}  // namespace depickle::hub
