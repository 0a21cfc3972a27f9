// A worker that simulates an exploited parser: if a file starts with "MISBEHAVE:...", it does what an attacker would.
// It reads other files normally.
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "depickle/sandbox/channel.h"
#include "depickle/sandbox/serve.h"
#include "tests/sandbox/forge.h"

namespace {

using namespace depickle;
using sandbox::Channel;
using sandbox::Message;
using sandbox::Received;
using sandbox::Reply;
using sandbox::Request;

// The sandbox did not stop the attempt. Reported as a crash.
[[noreturn]] void not_stopped() { std::abort(); }

[[noreturn]] void loop() {
  for (std::atomic<unsigned> i = 0;;) ++i;
}

void eat_memory() {
  std::vector<char*> blocks;
  while (true) {
    blocks.push_back(new char[64 << 20]);
    std::memset(blocks.back(), 1, 64 << 20);
  }
}

// Returns a copy of a channel that the worker has.
Channel channel(int number) {
  return Channel(os::FileDescriptor(::fcntl(sandbox::kFirstChannel + number, F_DUPFD_CLOEXEC, 3)));
}

template <Request request, typename... Numbers>
Message granted(Numbers... numbers) {
  Message response;
  channel(1).send(sandbox::forge::message(request, sandbox::ArgumentsOf<request>(numbers...)));
  if (channel(1).receive(response, {.accepts_file = true}) != Received::message || response.payload[0] == 0) loop();
  return response;
}

// Sends a message and a result, then waits to be killed.
[[noreturn]] void send_result(const std::string& result) {
  channel(0).send(sandbox::forge::message(Reply::result) + result);
  loop();
}

// A descriptor that is granted is that of the worker's own file, or of an empty one.
void check_granted(const Message& response) {
  if (!response.file) return;
  std::string begin(10, '\0');
  const ssize_t count = ::pread(response.file.get(), begin.data(), begin.size(), 0);
  begin.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  if (begin.find_first_not_of('\0') != begin.npos && begin != "MISBEHAVE:") not_stopped();
}

void send_forged_requests(size_t number) {
  const sandbox::forge::Requests forged = sandbox::forge::requests().at(number);
  const Channel parent = channel(1);
  Message response;
  bool is_granted = false;
  for (const std::string& message : forged.messages) {
    if (!parent.send(message) || parent.receive(response, {.accepts_file = true}) != Received::message) loop();
    is_granted = !response.payload.empty() && response.payload[0] != 0;
    check_granted(response);
  }
  if (is_granted && forged.is_absurd) not_stopped();
}

// Attaches copies of a descriptor to every message: they must not pile up in the parent.
void send_descriptors() {
  const Channel parent = channel(0);
  const std::string report = sandbox::forge::message(Reply::progress, sandbox::ProgressReport{});
  uint64_t length = report.size();
  iovec parts[] = {{&length, sizeof length}, {const_cast<char*>(report.data()), report.size()}};
  char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr head{};
  head.msg_iov = parts;
  head.msg_iovlen = 2;
  head.msg_control = control;
  head.msg_controllen = sizeof control;
  cmsghdr* item = CMSG_FIRSTHDR(&head);
  item->cmsg_level = SOL_SOCKET;
  item->cmsg_type = SCM_RIGHTS;
  item->cmsg_len = CMSG_LEN(2 * sizeof(int));
  const int files[2] = {parent.descriptor(), parent.descriptor()};
  std::memcpy(CMSG_DATA(item), files, sizeof files);
  for (int i = 0; i < 100; ++i)
    if (::sendmsg(parent.descriptor(), &head, MSG_NOSIGNAL) < 0) loop();
}

void write_to_terminal() {
  for (int i = 0; i < 100'000; ++i)
    for (int file : {0, 1, 2})
      (void)!::write(file, sandbox::forge::kHostileText.data(), sandbox::forge::kHostileText.size());
  ::raise(SIGSEGV);
}

void ignore_signals() {
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_IGN);
  loop();
}

const std::map<std::string_view, void (*)()> kTricks = {
    {"MISBEHAVE:crash", [] { ::raise(SIGSEGV); }},
    {"MISBEHAVE:loop", [] { loop(); }},
    {"MISBEHAVE:memory", eat_memory},
    {"MISBEHAVE:socket", [] { ::socket(AF_INET, SOCK_STREAM, 0), not_stopped(); }},
    {"MISBEHAVE:exec",
        [] {
          char* const words[] = {const_cast<char*>("/bin/true"), nullptr};
          ::execv(words[0], words);
          not_stopped();
        }},
    {"MISBEHAVE:fork", [] { ::fork(), not_stopped(); }},
    {"MISBEHAVE:kill", [] { ::kill(::getppid(), SIGTERM), not_stopped(); }},
    {"MISBEHAVE:code",
        [] {
          ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          not_stopped();
        }},
    {"MISBEHAVE:unlink", [] { ::unlink("/tmp/anything"), not_stopped(); }},
    // Fails with EACCES, so the worker continues. Crashes if it succeeded.
    {"MISBEHAVE:open",
        [] {
          if (::open("/etc/passwd", O_RDONLY) >= 0 || ::open("/tmp/new", O_RDWR | O_CREAT, 0600) >= 0) not_stopped();
        }},
    {"MISBEHAVE:limits",
        [] {
          for (const auto resource : {RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_CORE}) {
            rlimit limit{};
            if (::getrlimit(resource, &limit) != 0 || limit.rlim_max == RLIM_INFINITY) not_stopped();
          }
        }},
    {"MISBEHAVE:stat",
        [] {
          struct stat status;
          if (::syscall(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &status, AT_EMPTY_PATH) == 0) not_stopped();
        }},
    {"MISBEHAVE:type",
        [] {
          char letter = 'x';
          for (int file : {0, 1, 2})
            if (::ioctl(file, TIOCSTI, &letter) == 0) not_stopped();
        }},
    {"MISBEHAVE:terminal", write_to_terminal},
    {"MISBEHAVE:ignore", ignore_signals},
    {"MISBEHAVE:descriptors", send_descriptors},
    {"MISBEHAVE:hang-up",
        [] {
          ::shutdown(sandbox::kFirstChannel, SHUT_RDWR);
          loop();
        }},
    {"MISBEHAVE:half",
        [] {
          (void)!::write(sandbox::kFirstChannel, "\x08\0\0", 3);
          loop();
        }},
    {"MISBEHAVE:large",
        [] {
          const uint64_t length = sandbox::kMaxMessageBytes + 1;
          (void)!::write(sandbox::kFirstChannel, &length, sizeof length);
          loop();
        }},
    {"MISBEHAVE:phase",
        [] {
          channel(0).send(sandbox::forge::message(Reply::progress, sandbox::ProgressReport{.phase = 200}));
          loop();
        }},
    {"MISBEHAVE:progress",
        [] {
          for (uint64_t number : sandbox::forge::kNumbers)
            channel(0).send(sandbox::forge::message(Reply::progress, sandbox::ProgressReport{0, UINT64_MAX, number}));
        }},
    {"MISBEHAVE:error",
        [] {
          const std::string& text = sandbox::forge::kHostileText;
          channel(0).send(
              sandbox::forge::message(Reply::error, Error(Code::malformed, text, text, {text, text, 1}, text)));
          loop();
        }},
    {"MISBEHAVE:long", [] { send_result(sandbox::forge::message(std::optional<convert::FileReport>(), '\0')); }},
    {"MISBEHAVE:foreign",
        [] {
          convert::FileReport report;
          report.digested_sources = {{"/etc/passwd", 1, ""}};
          granted<Request::target>(0);
          send_result(sandbox::forge::message(std::optional(report)));
        }},
    {"MISBEHAVE:short",
        [] {
          const Message target = granted<Request::target>(100);
          if (::ftruncate(target.file.get(), 99) != 0) not_stopped();
          send_result(sandbox::forge::message(std::optional(convert::FileReport())));
        }},
    {"MISBEHAVE:grow",
        [] {
          const Message target = granted<Request::target>(100);
          (void)::ftruncate(target.file.get(), 4'000'001);
          not_stopped();
        }},
    {"MISBEHAVE:lie",
        [] {
          // An invalid message: its length, then noise.
          const char noise[] = "\x08\0\0\0\0\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff";
          (void)!::write(sandbox::kFirstChannel, noise, 16);
          loop();
        }},
};

void misbehave(std::string_view first_bytes) {
  constexpr std::string_view kForge = "MISBEHAVE:forge ";
  if (first_bytes.starts_with(kForge))
    return send_forged_requests(static_cast<size_t>(std::atoi(std::string(first_bytes.substr(kForge.size())).c_str())));
  for (const auto& [words, trick] : kTricks)
    if (first_bytes.starts_with(words)) trick();
}

}  // namespace

int main(int count, char** words) {
  return count < 2 ? 2 : depickle::sandbox::serve(std::atoi(words[count - 1]), misbehave);
}
