#include "depickle/worker/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "depickle/base/error.h"

namespace depickle::worker {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const std::string& word : words) out.push_back(const_cast<char*>(word.c_str()));
  out.push_back(nullptr);
  return out;
}

// The child, between fork and exec: only calls that are safe where other threads held locks at the fork.
[[noreturn]] void become(
    char** words, char** environment, const int* descriptors, int count, int nothing, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int number : {SIGINT, SIGPIPE}) ::signal(number, SIG_IGN);  // Ctrl-C is for the parent, who ends us
  ::dup2(nothing, 0);
  // Out of the way first, so that none is overwritten before it was moved.
  int moved[16];
  for (int i = 0; i < count; ++i) moved[i] = ::fcntl(descriptors[i], F_DUPFD, 64);
  for (int i = 0; i < count; ++i) ::dup2(moved[i], 3 + i);
  ::close_range(static_cast<unsigned>(3 + count), ~0U, 0);
  ::execve(words[0], words, environment);
  ::_exit(127);
}

}  // namespace

Process::Process(const std::vector<std::string>& words, const std::vector<int>& descriptors,
    const std::vector<std::string>& environment) {
  if (descriptors.size() > 16) throw Error(Code::limit, "", "more than 16 descriptors for a process");
  const std::vector<char*> argv = pointers(words), envp = pointers(environment);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0)
    become(const_cast<char**>(argv.data()), const_cast<char**>(envp.data()), descriptors.data(),
        static_cast<int>(descriptors.size()), nothing, parent);
  const int error_number = errno;
  ::close(nothing);
  if (pid_ < 0) throw system_error(error_number, "cannot start a process", words[0]);
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

}  // namespace depickle::worker
