// The thread pool for tasks that can block. Inside the server only.
#pragma once

#include <signal.h>

#include <exception>
#include <memory>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace depickle::server::http {
namespace asio = boost::asio;

/// A boost::asio::thread_pool whose threads block all signals: signals are for the thread of run(), and SIGPIPE is for
/// no thread. Its queue is bounded by the number of connections, each of which runs one task at a time; a connection
/// too many gets status 503.
class Workers {
 public:
  explicit Workers(unsigned count) : pool_(start(count)) {}
  /// Runs the tasks in the queue first.
  ~Workers() { pool_->join(); }

  /// Runs `task` on a worker while the coroutine waits. Throws what the task throws.
  template <typename Task>
  asio::awaitable<void> run(Task task) {
    std::exception_ptr failure;
    auto start = [&](auto resume) {
      asio::post(*pool_, [&task, &failure, resume = std::move(resume)]() mutable {
        try {
          task();
        } catch (...) {
          failure = std::current_exception();
        }
        asio::post(std::move(resume));
      });
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable);
    if (failure) std::rethrow_exception(failure);
  }

  /// Destroys a value on a worker: it may be the last user of a large deleted file.
  template <typename Value>
  void destroy(Value value) noexcept {
    try {
      asio::post(*pool_, [value = std::make_shared<Value>(std::move(value))]() mutable { value.reset(); });
    } catch (const std::bad_alloc&) {  // the value is destroyed here
    }
  }

 private:
  static std::unique_ptr<asio::thread_pool> start(unsigned count) {
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    auto pool = std::make_unique<asio::thread_pool>(count);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return pool;
  }

  std::unique_ptr<asio::thread_pool> pool_;
};

}  // namespace depickle::server::http
