#include "depickle/sandbox/confine.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace depickle::sandbox {
namespace {

// Runs `attempt` in a confined child process. Returns "killed", "refused" if the filter made the call fail, or
// "allowed", also if the kernel then refused it for its arguments.
std::string outcome(const std::function<long()>& attempt) {
  const pid_t child = ::fork();
  if (child == 0) {
    confine({});
    const bool is_refused = attempt() < 0 && (errno == EACCES || errno == ENOSYS);
    ::syscall(SYS_exit_group, is_refused ? 1 : 2);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return WTERMSIG(status) == SIGSYS ? "killed" : "crashed";
  return WEXITSTATUS(status) == 1 ? "refused" : "allowed";
}

// The system calls that a worker may make with any arguments or some. Extend this list only with a call that takes no
// path, cannot reach another process, and cannot make memory executable.
const std::set<long> kMayBeAllowed = {SYS_read, SYS_readv, SYS_pread64, SYS_preadv, SYS_write, SYS_writev, SYS_pwrite64,
    SYS_pwritev, SYS_lseek, SYS_fstat, SYS_ftruncate, SYS_fallocate, SYS_fsync, SYS_fdatasync, SYS_sync_file_range,
    SYS_fadvise64, SYS_readahead, SYS_close, SYS_poll, SYS_ppoll, SYS_sendmsg, SYS_recvmsg, SYS_sendto, SYS_recvfrom,
    SYS_shutdown, SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_mincore, SYS_futex, SYS_set_robust_list, SYS_rseq,
    SYS_sched_yield, SYS_sched_getaffinity, SYS_membarrier, SYS_gettid, SYS_getpid, SYS_exit, SYS_exit_group,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sigaltstack, SYS_restart_syscall, SYS_clock_gettime,
    SYS_clock_nanosleep, SYS_nanosleep, SYS_gettimeofday, SYS_getrandom, SYS_getrusage, SYS_sysinfo, SYS_uname,
    SYS_mmap, SYS_mprotect, SYS_clone, SYS_tgkill, SYS_fcntl, SYS_prlimit64};

TEST(Confine, EveryOtherSystemCallIsRefused) {
  constexpr long kMaxNumber = 480;  // Linux 6.18 has fewer
  // uretprobe(2) and uprobe(2) of x86-64 bypass every filter. They fail unless the kernel itself placed a probe.
  constexpr long kBypass[] = {335, 336};
  for (long number = 0; number < kMaxNumber; ++number) {
    if (kMayBeAllowed.contains(number) || number == kBypass[0] || number == kBypass[1]) continue;
    EXPECT_NE(outcome([=] { return ::syscall(number, 0, 0, 0, 0, 0, 0); }), "allowed") << number;
  }
}

TEST(Confine, AllowedSystemCallsAreRefusedWithHarmfulArguments) {
  struct stat status;
  const std::map<std::string, std::function<long()>> attempts = {
      {"executable memory",
          [] { return ::syscall(SYS_mmap, nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }},
      {"memory that does not count: shared",
          [] { return ::syscall(SYS_mmap, nullptr, 4096, PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0); }},
      {"memory that does not count: a stack",
          [] {
            return ::syscall(SYS_mmap, nullptr, 4096, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
          }},
      {"a process", [] { return ::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); }},
      {"a thread in another namespace",
          [] { return ::syscall(SYS_clone, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWNS, 0, 0, 0, 0); }},
      {"a signal to the parent", [] { return ::syscall(SYS_tgkill, ::getppid(), ::getppid(), SIGTERM); }},
      {"the flags of a shared pipe", [] { return ::syscall(SYS_fcntl, 2, F_SETFL, 0); }},
      {"the owner of a signal", [] { return ::syscall(SYS_fcntl, 2, F_SETOWN, 1); }},
      {"the limits of another process",
          [] {
            char limit[16];
            return ::syscall(SYS_prlimit64, ::getppid(), RLIMIT_CORE, nullptr, limit);
          }},
      {"its own limits",
          [] {
            const uint64_t limit[2] = {1, 1};
            return ::syscall(SYS_prlimit64, 0, RLIMIT_CORE, limit, nullptr);
          }},
      {"the status of any file",
          [&] { return ::syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &status, AT_EMPTY_PATH); }},
  };
  for (const auto& [name, attempt] : attempts) EXPECT_NE(outcome(attempt), "allowed") << name;
}

TEST(Confine, AttacksOnTheSystemAreRefused) {
  char byte = 0;
  iovec part{&byte, 1};
  open_how how{};
  const char* words[] = {"/bin/true", nullptr};
  const std::map<std::string, std::function<long()>> attempts = {
      {"open", [] { return ::syscall(SYS_open, "/proc/self/mem", O_RDWR); }},
      {"openat", [] { return ::syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY); }},
      {"openat2", [&] { return ::syscall(SYS_openat2, AT_FDCWD, "/etc/passwd", &how, sizeof how); }},
      {"socket", [] { return ::syscall(SYS_socket, AF_INET, SOCK_STREAM, 0); }},
      {"connect", [] { return ::syscall(SYS_connect, 0, nullptr, 0); }},
      {"execve", [&] { return ::syscall(SYS_execve, words[0], words, nullptr); }},
      {"ptrace", [] { return ::syscall(SYS_ptrace, PTRACE_ATTACH, ::getppid(), 0, 0); }},
      {"process_vm_readv", [&] { return ::syscall(SYS_process_vm_readv, ::getppid(), &part, 1, &part, 1, 0); }},
      {"kill", [] { return ::syscall(SYS_kill, ::getppid(), 0); }},
      {"pidfd_open", [] { return ::syscall(SYS_pidfd_open, ::getppid(), 0); }},
      {"mount", [] { return ::syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, nullptr); }},
      {"prctl", [] { return ::syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0); }},
      {"memfd_create", [] { return ::syscall(SYS_memfd_create, "x", 0); }},
      {"TIOCSTI 0", [&] { return ::syscall(SYS_ioctl, 0, TIOCSTI, &byte); }},
      {"TIOCSTI 1", [&] { return ::syscall(SYS_ioctl, 1, TIOCSTI, &byte); }},
      {"TIOCSTI 2", [&] { return ::syscall(SYS_ioctl, 2, TIOCSTI, &byte); }},
  };
  for (const auto& [name, attempt] : attempts) EXPECT_NE(outcome(attempt), "allowed") << name;
}

}  // namespace
}  // namespace depickle::sandbox
