#include "depickle/os/file_descriptor.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "depickle/base/error.h"

namespace depickle::os {
namespace {

// Calls write_some(bytes, offset) until everything is written.
template <typename WriteSome>
void write_until_done(Bytes bytes, const std::string& name, WriteSome write_some) {
  uint64_t done = 0;
  while (!bytes.empty()) {
    const ssize_t written = write_some(bytes, done);
    if (written < 0 && errno == EINTR) continue;
    // EFAULT: the bytes are in a mapped file that was truncated.
    if (written < 0 && errno == EFAULT) throw Error(Code::integrity, "", "the source file shrank while it was read");
    if (written < 0) throw system_error(errno, "cannot write", name);
    bytes = bytes.subspan(static_cast<size_t>(written));
    done += static_cast<uint64_t>(written);
  }
}

// Calls read_some(out, offset) until `out` is full or the file ends.
template <typename ReadSome>
size_t read_until_full(MutableBytes out, const std::string& name, ReadSome read_some) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = read_some(out.subspan(done), done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw system_error(errno, "cannot read", name);
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return done;
}

}  // namespace

void FileDescriptor::reset(int descriptor) noexcept {
  if (const int old = std::exchange(descriptor_, descriptor); old >= 0) ::close(old);
}

FileDescriptor open_file(const std::filesystem::path& path, int flags, mode_t mode, std::string_view what) {
  FileDescriptor file(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!file) throw system_error(errno, what, path);
  return file;
}

void write_all(int descriptor, Bytes bytes, const std::string& name) {
  write_until_done(bytes, name, [&](Bytes rest, uint64_t) { return ::write(descriptor, rest.data(), rest.size()); });
}

void write_all_at(int descriptor, uint64_t offset_bytes, Bytes bytes, const std::string& name) {
  write_until_done(bytes, name, [&](Bytes rest, uint64_t done) {
    return ::pwrite(descriptor, rest.data(), rest.size(), static_cast<off_t>(offset_bytes + done));
  });
}

size_t read_all(int descriptor, MutableBytes out, const std::string& name) {
  return read_until_full(
      out, name, [&](MutableBytes rest, uint64_t) { return ::read(descriptor, rest.data(), rest.size()); });
}

size_t read_all_at(int descriptor, uint64_t offset_bytes, MutableBytes out, const std::string& name) {
  return read_until_full(out, name, [&](MutableBytes rest, uint64_t done) {
    return ::pread(descriptor, rest.data(), rest.size(), static_cast<off_t>(offset_bytes + done));
  });
}

}  // namespace depickle::os
