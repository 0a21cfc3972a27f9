#include "python/src/truncation_guard.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <utility>

#include "python/src/errors.h"

namespace depickle::python {

// A guarded mapping. The signal handler walks the list of them, so they are never freed, but reused.
struct TruncationGuard::Watched {
  std::atomic<uintptr_t> begin = UINTPTR_MAX;  // written last on insertion, first on removal
  std::atomic<uintptr_t> end = 0;
  std::atomic<int> descriptor = -1;
  uintptr_t size_bytes = 0;
  std::atomic<bool> in_use = true, truncated = false;
  std::string name;
  Watched* next = nullptr;
};

namespace {

using Watched = TruncationGuard::Watched;

std::atomic<Watched*> all = nullptr;
struct sigaction previous = {};
const uintptr_t page_bytes = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));

void raise_truncated(const Watched& watched) {
  raise_os_error(EIO,
      "the file was truncated while it was mapped: the bytes beyond its new end are lost and read as zeros",
      watched.name);
}

// Runs in the main thread, at the next bytecode.
int raise_pending(void* watched) {
  try {
    raise_truncated(*static_cast<Watched*>(watched));
  } catch (nb::python_error& error) {
    error.restore();
  }
  return -1;
}

// Maps zeros over the lost pages. Async-signal-safe.
bool replace_lost_pages(Watched& watched, uintptr_t address) {
  const uintptr_t begin = watched.begin.load(), end = watched.end.load();
  if (address < begin || address >= end || watched.begin.load() != begin) return false;
  struct stat status;
  const uintptr_t size_bytes = ::fstat(watched.descriptor, &status) == 0 ? static_cast<uintptr_t>(status.st_size) : 0;
  // A page inside the file also faults if the disk or the server fails.
  const uintptr_t lost = std::min(begin + (size_bytes + page_bytes - 1) / page_bytes * page_bytes,
      begin + (address - begin) / page_bytes * page_bytes);
  void* zeros = ::mmap(reinterpret_cast<void*>(lost), end - lost, PROT_READ | PROT_WRITE,
      MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (zeros == MAP_FAILED) return false;
  if (!watched.truncated.exchange(true)) Py_AddPendingCall(raise_pending, &watched);
  return true;
}

void call_previous_handler(int signal, siginfo_t* info, void* context) {
  static std::atomic_flag passed = ATOMIC_FLAG_INIT;
  const bool again = passed.test_and_set();  // a handler that raises the signal again returns here
  if (!again && (previous.sa_flags & SA_SIGINFO)) {
    previous.sa_sigaction(signal, info, context);
  } else if (!again && previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  } else {
    std::signal(signal, SIG_DFL);
    if (info->si_code <= 0) ::raise(signal);  // sent by a process, not a fault: it would not repeat
  }
  passed.clear();
}

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const int saved = errno;
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  bool replaced = false;
  if (info->si_code > 0)
    for (Watched* watched = all.load(); watched && !replaced; watched = watched->next)
      replaced = replace_lost_pages(*watched, address);
  errno = saved;
  if (!replaced) call_previous_handler(signal, info, context);
}

// Other code (faulthandler) may have replaced the handler since.
void keep_handler_installed() {
  struct sigaction current = {};
  ::sigaction(SIGBUS, nullptr, &current);
  if ((current.sa_flags & SA_SIGINFO) && current.sa_sigaction == on_bus_error) return;
  static std::mutex mutex;
  std::scoped_lock lock(mutex);
  struct sigaction ours = {};
  ours.sa_sigaction = on_bus_error;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  ::sigemptyset(&ours.sa_mask);
  struct sigaction before = {};
  ::sigaction(SIGBUS, &ours, &before);
  if (before.sa_sigaction != on_bus_error) previous = before;
}

Watched* claim() {
  for (Watched* watched = all.load(); watched; watched = watched->next) {
    bool free = false;
    if (!watched->in_use.load() && watched->in_use.compare_exchange_strong(free, true)) return watched;
  }
  auto* watched = new Watched;
  watched->next = all.load();
  while (!all.compare_exchange_weak(watched->next, watched)) {
  }
  return watched;
}

}  // namespace

TruncationGuard::TruncationGuard(Bytes mapping, int descriptor, std::string name) : watched_(claim()) {
  keep_handler_installed();
  const auto begin = reinterpret_cast<uintptr_t>(mapping.data());
  watched_->name = std::move(name);
  watched_->size_bytes = mapping.size();
  watched_->descriptor = descriptor;
  watched_->end = begin + (mapping.size() + page_bytes - 1) / page_bytes * page_bytes;
  watched_->begin = begin;
}

TruncationGuard::~TruncationGuard() {
  watched_->begin = UINTPTR_MAX;
  watched_->end = 0;
  if (!watched_->truncated) watched_->in_use = false;  // the pending call may still need the name
}

void TruncationGuard::check() const {
  if (watched_->truncated.load(std::memory_order_relaxed)) raise_truncated(*watched_);
}

void TruncationGuard::check_size() const {
  struct stat status;
  const bool known = ::fstat(watched_->descriptor, &status) == 0;
  if (known && static_cast<uintptr_t>(status.st_size) < watched_->size_bytes) watched_->truncated = true;
  check();
}

}  // namespace depickle::python
