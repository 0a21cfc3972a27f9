"""A library to preload that delays system calls, or lets one of them fail."""
import subprocess

# FAULT_CALL=pwrite:3:28 lets the third pwrite() fail with errno 28. DELAY_CALL=flock:15 delays each flock() by 15 ms.
# Of open(), only calls that create a file count. FAULT_LOG is a file that gets a line if the fault happened.
SOURCE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int fails(const char* call) {
  static int count = 0;
  char name[32];
  const char* delay = getenv("DELAY_CALL");
  size_t length = strlen(call);
  if (delay && strncmp(delay, call, length) == 0 && delay[length] == ':') {
    struct timespec pause = {0, atoi(delay + length + 1) * 1000000L};
    nanosleep(&pause, 0);
  }
  const char* fault = getenv("FAULT_CALL");
  if (!fault || strncmp(fault, call, length) != 0 || fault[length] != ':') return 0;
  const int at = atoi(fault + length + 1), number = atoi(strrchr(fault, ':') + 1);
  const int now = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
  if (at != 0 && at != now) return 0;  // 0 means every call
  if (getenv("FAULT_LOG")) {
    int log = syscall(SYS_openat, AT_FDCWD, getenv("FAULT_LOG"), O_WRONLY | O_CREAT, 0600);
    syscall(SYS_write, log, call, length);
    syscall(SYS_close, log);
  }
  errno = number;
  return 1;
}

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = va_arg(more, mode_t);
  va_end(more);
  if ((flags & O_CREAT) && fails("open")) return -1;
  return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
int flock(int fd, int operation) { return fails("flock") ? -1 : syscall(SYS_flock, fd, operation); }
int fallocate(int fd, int mode, off_t at, off_t size) {
  return fails("fallocate") ? -1 : syscall(SYS_fallocate, fd, mode, at, size);
}
int fsync(int fd) { return fails("fsync") ? -1 : syscall(SYS_fsync, fd); }
int fstat(int fd, struct stat* status) {
  return fails("fstat") ? -1 : syscall(SYS_newfstatat, fd, "", status, AT_EMPTY_PATH);
}
int lstat(const char* path, struct stat* status) {
  return fails("lstat") ? -1 : syscall(SYS_newfstatat, AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}
int stat(const char* path, struct stat* status) {
  return fails("stat") ? -1 : syscall(SYS_newfstatat, AT_FDCWD, path, status, 0);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  return fails("pwrite") ? -1 : syscall(SYS_pwrite64, fd, bytes, size, at);
}
ssize_t write(int fd, const void* bytes, size_t size) {
  return fd != 2 && fails("write") ? -1 : syscall(SYS_write, fd, bytes, size);
}
int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) {
  return fails("renameat2") ? -1 : syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}
int rename(const char* from, const char* to) { return fails("rename") ? -1 : syscall(SYS_rename, from, to); }
int link(const char* from, const char* to) { return fails("link") ? -1 : syscall(SYS_link, from, to); }
int unlink(const char* path) { return fails("unlink") ? -1 : syscall(SYS_unlink, path); }
"""


def build(folder):
    """Returns the library, built in `folder`."""
    (folder / "faults.c").write_text(SOURCE)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "faults.so", folder / "faults.c"], check=True)
    return folder / "faults.so"


def prefix(library, **variables):
    """Returns the start of a command line that loads the library with the variables."""
    return ("env", f"LD_PRELOAD={library}", "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0") + tuple(
        f"{name}={value}" for name, value in variables.items()
    )
