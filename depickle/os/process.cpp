#include "depickle/os/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "depickle/base/error.h"

namespace depickle::os {
namespace {

constexpr size_t kMaxDescriptors = 24;

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (const std::string& string : strings) out.push_back(const_cast<char*>(string.c_str()));
  out.push_back(nullptr);
  return out;
}

// The child between fork and exec. Calls async-signal-safe functions only, as other threads may hold locks at the fork.
[[noreturn]] void run_child(char** arguments, char** environment, const std::vector<int>& descriptors, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int count = static_cast<int>(descriptors.size());
  // Moves all descriptors to 64 and up first, so that dup2 does not overwrite one that is still needed.
  const int null_device = ::open("/dev/null", O_RDWR);
  int moved[kMaxDescriptors];
  for (int i = 0; i < count; ++i) moved[i] = ::fcntl(descriptors[i] < 0 ? null_device : descriptors[i], F_DUPFD, 64);
  for (int i = 0; i < count; ++i) ::dup2(moved[i], i);
  ::close_range(static_cast<unsigned>(count), ~0U, 0);
  ::execvpe(arguments[0], arguments, environment);
  ::_exit(127);
}

}  // namespace

Process::Process(const std::vector<std::string>& arguments, const std::vector<int>& descriptors,
    const std::vector<std::string>& environment) {
  if (descriptors.size() > kMaxDescriptors)
    throw Error(Code::limit, "",
        fmt::format(
            "too many descriptors for a process (have {}, the limit is {})", descriptors.size(), kMaxDescriptors));
  std::vector<char*> argv = pointers(arguments), envp = pointers(environment);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) run_child(argv.data(), envp.data(), descriptors, parent);
  if (pid_ < 0) throw system_error(errno, "cannot start a process", arguments[0]);
}

Process::~Process() {
  kill();
  wait();
}

void Process::kill() noexcept {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

int Process::wait() noexcept {
  reap(0);
  return status_;
}

bool Process::wait_for(int timeout_ms) noexcept {
  for (; !reap(WNOHANG); --timeout_ms) {
    if (timeout_ms <= 0) return false;
    ::usleep(1000);
  }
  return true;
}

// Returns whether the child has ended.
bool Process::reap(int options) noexcept {
  if (pid_ <= 0) return true;
  rusage usage{};
  pid_t ended;
  do ended = ::wait4(pid_, &status_, options, &usage);
  while (ended < 0 && errno == EINTR);
  if (ended == 0) return false;
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  cpu_seconds_ = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  pid_ = -1;
  return true;
}

}  // namespace depickle::os
