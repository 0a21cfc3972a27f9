// Threads for what may take long, seen from coroutines. Inside the server only.
#pragma once

#include <signal.h>

#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace depickle::server::http {
namespace asio = boost::asio;

/// Threads that block no signal of the program's: a signal is for the thread of run(), and SIGPIPE for nobody.
class Workers {
 public:
  explicit Workers(unsigned count) : work_(context_.get_executor()) {
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < count; ++i) threads_.emplace_back([this] { context_.run(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~Workers() {
    work_.reset();
    for (std::thread& thread : threads_) thread.join();
  }

  /// Runs `job` on a worker while the coroutine waits; what it throws is thrown here.
  template <typename Job>
  asio::awaitable<void> run(Job job) {
    std::exception_ptr failure;
    auto start = [&](auto resume) {
      asio::post(context_, [&job, &failure, resume = std::move(resume)]() mutable {
        try {
          job();
        } catch (...) {
          failure = std::current_exception();
        }
        asio::post(std::move(resume));
      });
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(start, asio::use_awaitable);
    if (failure) std::rethrow_exception(failure);
  }

 private:
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::vector<std::thread> threads_;
};

}  // namespace depickle::server::http
