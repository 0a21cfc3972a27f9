#include "depickle/os/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "depickle/base/error.h"

namespace depickle::os {
namespace {

constexpr size_t kMaxDescriptors = 24;

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

// The child, between fork and exec: only calls that are safe where other threads held locks at the fork.
[[noreturn]] void become(char** words, char** environment, const std::vector<int>& descriptors, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int count = static_cast<int>(descriptors.size());
  // Out of the way first, so that none is overwritten before it was moved.
  const int nothing = ::open("/dev/null", O_RDWR);
  int moved[kMaxDescriptors];
  for (int i = 0; i < count; ++i) moved[i] = ::fcntl(descriptors[i] < 0 ? nothing : descriptors[i], F_DUPFD, 64);
  for (int i = 0; i < count; ++i) ::dup2(moved[i], i);
  ::close_range(static_cast<unsigned>(count), ~0U, 0);
  ::execvpe(words[0], words, environment);
  ::_exit(127);
}

}  // namespace

Process::Process(const std::vector<std::string>& words, const std::vector<int>& descriptors,
    const std::vector<std::string>& environment) {
  if (descriptors.size() > kMaxDescriptors) throw Error(Code::limit, "", "too many descriptors for a process");
  std::vector<char*> argv = pointers(words), envp = pointers(environment);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) become(argv.data(), envp.data(), descriptors, parent);
  if (pid_ < 0) throw system_error(errno, "cannot start a process", words[0]);
}

Process::~Process() {
  kill();
  wait();
}

void Process::kill() noexcept {
  if (pid_ > 0) ::kill(pid_, SIGKILL);
}

int Process::wait() noexcept {
  int status = 0;
  if (pid_ <= 0) return status;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return status;
}

}  // namespace depickle::os
