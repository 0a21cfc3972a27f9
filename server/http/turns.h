// Shares the workers for slow work among the clients. Inside the server only.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "server/http/addresses.h"

namespace depickle::server::http {

/// One address has at most `max_of_one` turns at a time. A coroutine that wants another one waits without a thread,
/// and the turns of an address are given in order. Used on the thread of the context only.
class Turns {
 public:
  Turns(boost::asio::io_context& context, unsigned max_of_one) : context_(context), max_of_one_(max_of_one) {}

  /// The destructor gives the turn back.
  class Turn {
   public:
    Turn(Turns& turns, std::string sender) : turns_(&turns), sender_(std::move(sender)) {}
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)), sender_(std::move(other.sender_)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_) turns_->give_back(sender_);
    }

   private:
    Turns* turns_;
    std::string sender_;
  };

  boost::asio::awaitable<Turn> take(std::string address) {
    std::string sender = network_of(address);
    Entry& entry = entries_[sender];
    if (entry.running < max_of_one_) {
      ++entry.running;
    } else {
      auto called = std::make_shared<boost::asio::steady_timer>(context_, std::chrono::steady_clock::time_point::max());
      entry.waiting.push_back(called);
      boost::system::error_code cancelled;
      co_await called->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
    }
    co_return Turn(*this, std::move(sender));
  }

 private:
  struct Entry {
    unsigned running = 0;
    std::deque<std::shared_ptr<boost::asio::steady_timer>> waiting;
  };
  void give_back(const std::string& sender) {
    auto at = entries_.find(sender);
    Entry& entry = at->second;
    if (!entry.waiting.empty()) {  // the next one gets this turn
      boost::system::error_code ignored;
      entry.waiting.front()->cancel(ignored);
      entry.waiting.pop_front();
    } else if (--entry.running == 0) {
      entries_.erase(at);
    }
  }

  boost::asio::io_context& context_;
  const unsigned max_of_one_;
  std::map<std::string, Entry> entries_;
};

}  // namespace depickle::server::http
