// A worker with a bug that files can reach: the words at the start of a file make it do what a taken-over process would try.
// Files without such words are read as always.
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

// What was tried without being stopped is told as a crash, of another kind for each.
[[noreturn]] void survived() { std::abort(); }

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
    {"MISBEHAVE:socket", [] { ::socket(AF_INET, SOCK_STREAM, 0), survived(); }},
    {"MISBEHAVE:exec",
        [] {
          char* const words[] = {const_cast<char*>("/bin/true"), nullptr};
          ::execv(words[0], words);
          survived();
        }},
    {"MISBEHAVE:fork", [] { ::fork(), survived(); }},
    {"MISBEHAVE:kill", [] { ::kill(::getppid(), SIGTERM), survived(); }},
    {"MISBEHAVE:code",
        [] {
          ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
          survived();
        }},
    {"MISBEHAVE:unlink", [] { ::unlink("/tmp/anything"), survived(); }},
    // Refused, not fatal: ends as a crash where it was allowed.
    {"MISBEHAVE:open",
        [] {
          if (::open("/etc/passwd", O_RDONLY) >= 0 || ::open("/tmp/new", O_RDWR | O_CREAT, 0600) >= 0) survived();
        }},
    {"MISBEHAVE:hang-up",
        [] {
          ::shutdown(depickle::sandbox::kFirstChannel, SHUT_RDWR);
          loop();
        }},
    {"MISBEHAVE:lie",
        [] {
          // A result that makes no sense: its length, then noise.
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
