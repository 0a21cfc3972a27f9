#include "depickle/sandbox/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>
#include <memory>

#include <fmt/format.h>
#include <seccomp.h>

namespace depickle::sandbox {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

// The system calls for reading and writing open files, computing, threads, memory and clocks. None of them can open a
// new file.
constexpr int kAllowed[] = {
    // open files
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(write), SCMP_SYS(writev),
    SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(ftruncate), SCMP_SYS(fallocate),
    SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(sync_file_range), SCMP_SYS(fadvise64), SCMP_SYS(readahead),
    SCMP_SYS(close), SCMP_SYS(poll), SCMP_SYS(ppoll),
    // sockets that it received
    SCMP_SYS(sendmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(shutdown),
    // memory
    SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(mincore),
    // threads
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(membarrier), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(exit), SCMP_SYS(exit_group),
    // its own signals
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    // clocks and random numbers
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
    SCMP_SYS(getrandom), SCMP_SYS(getrusage), SCMP_SYS(sysinfo), SCMP_SYS(uname)};

// System calls that take a file name or change the process. The C library makes some of them and continues if they
// fail.
constexpr int kRefused[] = {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(stat), SCMP_SYS(lstat),
    SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(ioctl), SCMP_SYS(prctl)};

void check(int failed) {
  if (failed == 0) return;
  throw Error(Code::unsupported, Reason::no_sandbox,
      fmt::format("this kernel does not support the sandbox: seccomp: {}", std::strerror(-failed)));
}

constexpr scmp_datum_t kThreadFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                                      CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;

class Filter {
 public:
  Filter() : context_(::seccomp_init(SCMP_ACT_KILL_PROCESS)) {
    if (!context_) check(-ENOSYS);
  }
  ~Filter() { ::seccomp_release(context_); }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

  template <typename... Conditions>
  void rule(uint32_t action, int call, Conditions... conditions) {
    check(::seccomp_rule_add(context_, action, call, sizeof...(conditions), conditions...));
  }
  void load() { check(::seccomp_load(context_)); }

 private:
  scmp_filter_ctx context_;
};

void load_filter() {
  Filter filter;
  for (int call : kAllowed) filter.rule(SCMP_ACT_ALLOW, call);
  for (int call : kRefused) filter.rule(SCMP_ACT_ERRNO(EACCES), call);
  // Executable memory is never needed. Shared memory without a file and memory that grows down do not count for
  // RLIMIT_DATA.
  filter.rule(SCMP_ACT_ALLOW, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  filter.rule(SCMP_ACT_ALLOW, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
      SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS | MAP_GROWSDOWN, 0));
  filter.rule(SCMP_ACT_ALLOW, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
      SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_TYPE | MAP_GROWSDOWN, MAP_PRIVATE));
  // Threads as pthread_create(3) starts them. A filter cannot check the flags of clone3(2); after ENOSYS the C library
  // calls clone(2).
  filter.rule(SCMP_ACT_ALLOW, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_EQ, kThreadFlags));
  filter.rule(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
  // abort(3) of this process; copies of descriptors; reading limits, not setting them.
  filter.rule(SCMP_ACT_ALLOW, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(::getpid())));
  for (int command : {F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD})
    filter.rule(SCMP_ACT_ALLOW, SCMP_SYS(fcntl), SCMP_A1(SCMP_CMP_EQ, static_cast<scmp_datum_t>(command)));
  filter.rule(SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
  filter.load();
}

void set_limit(__rlimit_resource resource, uint64_t max) {
  if (max == 0) return;
  // At the soft limit of processor time the kernel sends SIGXCPU, at the hard limit SIGKILL.
  const rlimit both{max, max + 1};
  ::setrlimit(resource, &both);
}

}  // namespace

void confine(const ResourceLimits& limits) {
  ::prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  // A sanitizer's shadow memory is larger than any limit.
  if (!kIsSanitized) set_limit(RLIMIT_DATA, limits.memory_bytes);
  set_limit(RLIMIT_FSIZE, limits.file_bytes);
  set_limit(RLIMIT_CPU, limits.cpu_seconds);
  load_filter();
}

}  // namespace depickle::sandbox
