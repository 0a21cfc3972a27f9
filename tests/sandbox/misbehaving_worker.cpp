// A worker that simulates an exploited parser: if a file starts with "MISBEHAVE:...", it does what an attacker would.
// It reads other files normally.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <string_view>
#include <vector>

#include "depickle/sandbox/serve.h"

namespace {

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
    {"MISBEHAVE:hang-up",
        [] {
          ::shutdown(depickle::sandbox::kFirstChannel, SHUT_RDWR);
          loop();
        }},
    {"MISBEHAVE:lie",
        [] {
          // An invalid message: its length, then noise.
          const char noise[] = "\x08\0\0\0\0\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff";
          (void)!::write(depickle::sandbox::kFirstChannel, noise, 16);
          loop();
        }},
};

void misbehave(std::string_view first_bytes) {
  for (const auto& [words, trick] : kTricks)
    if (first_bytes.starts_with(words)) trick();
}

}  // namespace

int main(int count, char** words) {
  return count < 2 ? 2 : depickle::sandbox::serve(std::atoi(words[count - 1]), misbehave);
}
