"""A library to preload into a server, whose disk calls then fail, and whose clock jumps, while a test wants it."""

import mmap
import struct
import subprocess

# The plan is shared memory. `from` > 0: the calls that change regular files fail with errno `error` from number `from`
# on. `opens` != 0: calls that open or create files fail, too. `seconds` is added to the real time.
SOURCE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct plan { long from, error, opens, count, seconds; };

static struct plan* plan(void) {
  static struct plan none, *shared;
  if (shared) return shared;
  const char* path = getenv("FAULT_PLAN");
  const int fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDWR) : -1;
  void* map = fd < 0 ? MAP_FAILED : mmap(0, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (fd >= 0) syscall(SYS_close, fd);
  return shared = map == MAP_FAILED ? &none : map;
}

static int fails(void) {
  struct plan* now = plan();
  const long from = __atomic_load_n(&now->from, __ATOMIC_SEQ_CST);
  if (from == 0 || __atomic_add_fetch(&now->count, 1, __ATOMIC_SEQ_CST) < from) return 0;
  errno = now->error;
  return 1;
}

static int is_file(int fd) {
  struct stat status;
  return syscall(SYS_newfstatat, fd, "", &status, AT_EMPTY_PATH) == 0 && S_ISREG(status.st_mode);
}

#define FILE_CALL(result, name, parameters, number, ...) \
  result name parameters { return is_file(fd) && fails() ? -1 : syscall(number, __VA_ARGS__); }
#define PATH_CALL(name, parameters, number, ...) \
  int name parameters { return fails() ? -1 : syscall(number, __VA_ARGS__); }
FILE_CALL(ssize_t, write, (int fd, const void* bytes, size_t size), SYS_write, fd, bytes, size)
FILE_CALL(ssize_t, pwrite, (int fd, const void* bytes, size_t size, off_t at), SYS_pwrite64, fd, bytes, size, at)
FILE_CALL(ssize_t, pwrite64, (int fd, const void* bytes, size_t size, off_t at), SYS_pwrite64, fd, bytes, size, at)
FILE_CALL(int, ftruncate, (int fd, off_t size), SYS_ftruncate, fd, size)
FILE_CALL(int, ftruncate64, (int fd, off_t size), SYS_ftruncate, fd, size)
FILE_CALL(int, fallocate, (int fd, int mode, off_t at, off_t size), SYS_fallocate, fd, mode, at, size)
FILE_CALL(int, fsync, (int fd), SYS_fsync, fd)
FILE_CALL(int, fdatasync, (int fd), SYS_fdatasync, fd)
PATH_CALL(rename, (const char* from, const char* to), SYS_rename, from, to)
PATH_CALL(link, (const char* from, const char* to), SYS_link, from, to)
PATH_CALL(mkdir, (const char* path, mode_t mode), SYS_mkdir, path, mode)
PATH_CALL(symlink, (const char* from, const char* to), SYS_symlink, from, to)

static int open_at(int folder, const char* path, int flags, mode_t mode) {
  const int changes = plan()->opens || (flags & (O_CREAT | O_TRUNC)) || (flags & O_TMPFILE) == O_TMPFILE;
  return changes && fails() ? -1 : syscall(SYS_openat, folder, path, flags, mode);
}
#define OPEN_CALL(name, parameters, folder) \
  int name parameters { \
    va_list more; \
    va_start(more, flags); \
    const mode_t mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, mode_t) : 0; \
    va_end(more); \
    return open_at(folder, path, flags, mode); \
  }
OPEN_CALL(open, (const char* path, int flags, ...), AT_FDCWD)
OPEN_CALL(open64, (const char* path, int flags, ...), AT_FDCWD)
OPEN_CALL(openat, (int folder, const char* path, int flags, ...), folder)
OPEN_CALL(openat64, (int folder, const char* path, int flags, ...), folder)

int clock_gettime(clockid_t clock, struct timespec* time) {
  const int result = syscall(SYS_clock_gettime, clock, time);
  if (clock == CLOCK_REALTIME) time->tv_sec += plan()->seconds;
  return result;
}
time_t time(time_t* out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return out ? (*out = now.tv_sec) : now.tv_sec;
}
int gettimeofday(struct timeval* restrict out, void* restrict zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  *out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
  return 0;
}
"""


class FailingDisk:
    """Start a server with `environment`; then set what fails."""

    FIELDS = "from", "error", "opens", "count", "seconds"

    def __init__(self, folder):
        (folder / "disk.c").write_text(SOURCE)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "disk.so", folder / "disk.c"], check=True)
        plan = folder / "plan"
        plan.write_bytes(bytes(40))
        with plan.open("r+b") as file:
            self.shared = mmap.mmap(file.fileno(), 40)
        self.environment = {
            "LD_PRELOAD": str(folder / "disk.so"),
            "FAULT_PLAN": str(plan),
            "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0",
        }

    def set(self, field, value):
        struct.pack_into("l", self.shared, 8 * self.FIELDS.index(field), value)

    def get(self, field):
        return struct.unpack_from("l", self.shared, 8 * self.FIELDS.index(field))[0]

    def fail(self, error, number=1, opens=False):
        """Lets the calls fail from number `number` on."""
        self.set("error", error)
        self.set("opens", opens)
        self.set("count", 0)
        self.set("from", number)

    def work(self):
        """Lets the calls succeed. Returns whether one has failed."""
        number, count = self.get("from"), self.get("count")
        self.set("from", 0)
        return number > 0 and count >= number
