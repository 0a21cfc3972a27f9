// Records the system calls that change the folder RECORDED_FOLDER, and the first bytes of each message to a socket or
// to standard output, in the file RECORDER_LOG. Preloaded with LD_PRELOAD; see recorder.py for the format of the log.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MESSAGE_BYTES 16

// Serializes the recorded calls, so that their order in the log is the order in which they happened.
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void record(
    const char* call, const char* path, const char* target, long long offset, const void* data, size_t size) {
  static int log = -1;
  if (log < 0) log = syscall(SYS_openat, AT_FDCWD, getenv("RECORDER_LOG"), O_WRONLY | O_APPEND | O_CLOEXEC);
  char head[128];
  int length = snprintf(
      head, sizeof head, "%s %d %lld %zu %zu %zu\n", call, getpid(), offset, strlen(path), strlen(target), size);
  struct iovec pieces[] = {
      {head, length}, {(void*)path, strlen(path)}, {(void*)target, strlen(target)}, {(void*)data, size}};
  if (syscall(SYS_writev, log, pieces, 4) < 0) abort();
}

static bool in_folder(const char* path) {
  const char* folder = getenv("RECORDED_FOLDER");
  size_t length = folder ? strlen(folder) : 0;
  return folder && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

// Writes the path of an open file to `path`; false if the file is not in the folder or has no name.
static bool path_of(int descriptor, char* path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  path[length > 0 ? length : 0] = 0;
  return in_folder(path) && !strstr(path, " (deleted)");
}

// Writes the absolute path of `name` to `path`; false if it is not in the folder.
static bool absolute(int folder, const char* name, char* path) {
  if (name[0] == '/') {
    snprintf(path, PATH_MAX, "%s", name);
    return in_folder(path);
  }
  if (folder == AT_FDCWD ? !getcwd(path, PATH_MAX) : !path_of(folder, path)) return false;
  size_t length = strlen(path);
  snprintf(path + length, PATH_MAX - length, "/%s", name);
  return in_folder(path);
}

static void record_message(const char* path, const void* data, size_t size) {
  pthread_mutex_lock(&mutex);
  record("send", path, "", 0, data, size < MESSAGE_BYTES ? size : MESSAGE_BYTES);
  pthread_mutex_unlock(&mutex);
}

// Writes; `offset` is -1 for a write at the current position.

static ssize_t write_pieces(int descriptor, const struct iovec* pieces, int count, off_t offset) {
  char path[PATH_MAX];
  bool is_recorded = path_of(descriptor, path);
  if (descriptor == STDOUT_FILENO && count > 0) record_message("stdout", pieces[0].iov_base, pieces[0].iov_len);
  if (strncmp(path, "socket:", 7) == 0 && count > 0) record_message("socket", pieces[0].iov_base, pieces[0].iov_len);
  if (is_recorded) pthread_mutex_lock(&mutex);
  ssize_t written = offset < 0 ? syscall(SYS_writev, descriptor, pieces, count)
                               : syscall(SYS_pwritev, descriptor, pieces, count, offset, 0);
  if (is_recorded) {
    int problem = errno;
    if (written > 0 && offset < 0) offset = lseek(descriptor, 0, SEEK_CUR) - written;
    size_t remaining = written > 0 ? written : 0;
    for (int i = 0; remaining > 0; ++i) {
      size_t size = pieces[i].iov_len < remaining ? pieces[i].iov_len : remaining;
      record("write", path, "", offset, pieces[i].iov_base, size);
      offset += size;
      remaining -= size;
    }
    pthread_mutex_unlock(&mutex);
    errno = problem;
  }
  return written;
}

ssize_t writev(int descriptor, const struct iovec* pieces, int count) {
  return write_pieces(descriptor, pieces, count, -1);
}
ssize_t pwritev(int descriptor, const struct iovec* pieces, int count, off_t offset) {
  return write_pieces(descriptor, pieces, count, offset);
}
ssize_t write(int descriptor, const void* data, size_t size) {
  struct iovec piece = {(void*)data, size};
  return write_pieces(descriptor, &piece, 1, -1);
}
ssize_t pwrite(int descriptor, const void* data, size_t size, off_t offset) {
  struct iovec piece = {(void*)data, size};
  return write_pieces(descriptor, &piece, 1, offset);
}
ssize_t pwrite64(int descriptor, const void* data, size_t size, off_t offset) {
  return pwrite(descriptor, data, size, offset);
}

ssize_t sendmsg(int descriptor, const struct msghdr* message, int flags) {
  if (message->msg_iovlen > 0) record_message("socket", message->msg_iov[0].iov_base, message->msg_iov[0].iov_len);
  return syscall(SYS_sendmsg, descriptor, message, flags);
}
ssize_t send(int descriptor, const void* data, size_t size, int flags) {
  record_message("socket", data, size);
  return syscall(SYS_sendto, descriptor, data, size, flags, NULL, 0);
}

// libc writes buffered output without a call that a preloaded library sees.
size_t fwrite(const void* data, size_t size, size_t count, FILE* file) {
  if (file == stdout) record_message("stdout", data, size * count);
  return fwrite_unlocked(data, size, count, file);
}

// Calls with a descriptor.

#define RECORD_DESCRIPTOR(name, offset, ...)                   \
  char path[PATH_MAX];                                         \
  if (!path_of(descriptor, path)) return syscall(__VA_ARGS__); \
  pthread_mutex_lock(&mutex);                                  \
  int result = syscall(__VA_ARGS__);                           \
  int problem = errno;                                         \
  if (result == 0) record(name, path, "", offset, "", 0);      \
  pthread_mutex_unlock(&mutex);                                \
  errno = problem;                                             \
  return result;

int fsync(int descriptor) { RECORD_DESCRIPTOR("fsync", 0, SYS_fsync, descriptor) }
int fdatasync(int descriptor) { RECORD_DESCRIPTOR("fsync", 0, SYS_fdatasync, descriptor) }
int ftruncate(int descriptor, off_t size) { RECORD_DESCRIPTOR("truncate", size, SYS_ftruncate, descriptor, size) }
int ftruncate64(int descriptor, off_t size) { return ftruncate(descriptor, size); }
int fallocate(int descriptor, int mode, off_t offset, off_t size) {
  RECORD_DESCRIPTOR("allocate", offset + size, SYS_fallocate, descriptor, mode, offset, size)
}
int fallocate64(int descriptor, int mode, off_t offset, off_t size) {
  return fallocate(descriptor, mode, offset, size);
}
int posix_fallocate(int descriptor, off_t offset, off_t size) {
  return fallocate(descriptor, 0, offset, size) == 0 ? 0 : errno;
}
int posix_fallocate64(int descriptor, off_t offset, off_t size) { return posix_fallocate(descriptor, offset, size); }

// Calls with a path. `target` is the second path of rename and link, and the text of a symbolic link.

#define RECORD_PATH(name, folder, path_text, target_text, ...)         \
  char path[PATH_MAX];                                                 \
  if (!absolute(folder, path_text, path)) return syscall(__VA_ARGS__); \
  pthread_mutex_lock(&mutex);                                          \
  int result = syscall(__VA_ARGS__);                                   \
  int problem = errno;                                                 \
  if (result == 0) record(name, path, target_text, 0, "", 0);          \
  pthread_mutex_unlock(&mutex);                                        \
  errno = problem;                                                     \
  return result;

int mkdirat(int folder, const char* name, mode_t mode) {
  RECORD_PATH("mkdir", folder, name, "", SYS_mkdirat, folder, name, mode)
}
int mkdir(const char* name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }
int unlinkat(int folder, const char* name, int flags) {
  RECORD_PATH("unlink", folder, name, "", SYS_unlinkat, folder, name, flags)
}
int unlink(const char* name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char* name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }
int remove(const char* name) {
  int result = unlink(name);
  return result != 0 && errno == EISDIR ? rmdir(name) : result;
}
int symlinkat(const char* text, int folder, const char* name) {
  RECORD_PATH("symlink", folder, name, text, SYS_symlinkat, text, folder, name)
}
int symlink(const char* text, const char* name) { return symlinkat(text, AT_FDCWD, name); }
int renameat2(int from_folder, const char* from, int folder, const char* to, unsigned flags) {
  char target[PATH_MAX];
  absolute(folder, to, target);
  RECORD_PATH("rename", from_folder, from, target, SYS_renameat2, from_folder, from, folder, to, flags)
}
int renameat(int from_folder, const char* from, int folder, const char* to) {
  return renameat2(from_folder, from, folder, to, 0);
}
int rename(const char* from, const char* to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int from_folder, const char* from, int folder, const char* to, int flags) {
  char target[PATH_MAX];
  absolute(folder, to, target);
  RECORD_PATH("link", from_folder, from, target, SYS_linkat, from_folder, from, folder, to, flags)
}
int link(const char* from, const char* to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

// open records only new files and truncations.
static int open_file(int folder, const char* name, int flags, mode_t mode) {
  char path[PATH_MAX];
  bool may_change = (flags & (O_CREAT | O_TRUNC)) && absolute(folder, name, path);
  if (!may_change) return syscall(SYS_openat, folder, name, flags, mode);
  pthread_mutex_lock(&mutex);
  bool existed = syscall(SYS_faccessat, folder, name, F_OK) == 0;
  int descriptor = syscall(SYS_openat, folder, name, flags, mode);
  int problem = errno;
  if (descriptor >= 0 && !existed) record("create", path, "", 0, "", 0);
  if (descriptor >= 0 && existed && (flags & O_TRUNC)) record("truncate", path, "", 0, "", 0);
  pthread_mutex_unlock(&mutex);
  errno = problem;
  return descriptor;
}

#define MODE(last)                                             \
  mode_t mode = 0;                                             \
  if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE) { \
    va_list more;                                              \
    va_start(more, last);                                      \
    mode = va_arg(more, mode_t);                               \
    va_end(more);                                              \
  }

int open(const char* name, int flags, ...) {
  MODE(flags)
  return open_file(AT_FDCWD, name, flags, mode);
}
int open64(const char* name, int flags, ...) {
  MODE(flags)
  return open_file(AT_FDCWD, name, flags, mode);
}
int openat(int folder, const char* name, int flags, ...) {
  MODE(flags)
  return open_file(folder, name, flags, mode);
}
int openat64(int folder, const char* name, int flags, ...) {
  MODE(flags)
  return open_file(folder, name, flags, mode);
}
int creat(const char* name, mode_t mode) { return open_file(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, mode); }
