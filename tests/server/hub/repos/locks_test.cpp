#include <latch>
#include <thread>

#include <gtest/gtest.h>

#include "server/hub/repos/store_parts.h"

namespace depickle::server::repos {
namespace {

using std::chrono::milliseconds;

/// Another thread that holds the lock of repository 1.
class Holder {
 public:
  explicit Holder(RepoLocks& locks)
      : thread_([&] {
          const RepoLock lock(locks, 1);
          held_.count_down();
          released_.wait();
        }) {
    held_.wait();
  }
  ~Holder() {
    released_.count_down();
    thread_.join();
  }

 private:
  std::latch held_{1}, released_{1};
  std::thread thread_;
};

TEST(RepoLock, AWriterThatWaitsTooLongIsRefused) {
  RepoLocks locks;
  Holder holder(locks);
  try {
    const RepoLock second(locks, 1, {}, milliseconds(1));
    FAIL() << "two writers";
  } catch (const StoreError& error) {
    EXPECT_EQ(error.reason(), StoreReason::busy);
  }
  const RepoLock other(locks, 2, {}, milliseconds(1));
}

TEST(RepoLock, AWriterStopsWaitingWhenItsClientHasGone) {
  struct Gone {};
  RepoLocks locks;
  Holder holder(locks);
  EXPECT_THROW(RepoLock(locks, 1, [] { throw Gone(); }), Gone);
}

TEST(RepoLock, TheNextWriterGetsTheLock) {
  RepoLocks locks;
  {
    Holder holder(locks);
  }
  const RepoLock lock(locks, 1, {}, milliseconds(1));
}

}  // namespace
}  // namespace depickle::server::repos
