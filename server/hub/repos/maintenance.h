// A thread that collects garbage now and then. Internal to this module.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>

namespace depickle::server::repos {

class Maintenance {
 public:
  explicit Maintenance(std::filesystem::path folder) : folder_(std::move(folder)) {}
  /// Stops the thread after the item that it removes.
  ~Maintenance();
  Maintenance(const Maintenance&) = delete;
  Maintenance& operator=(const Maintenance&) = delete;

  /// Collects now, each hour, and after wake(). Passes errors to `log`.
  void start(std::function<void(std::string_view)> log);
  void wake();

 private:
  void run(const std::function<void(std::string_view)>& log);
  void collect(const std::function<void(std::string_view)>& log);
  bool stops();

  const std::filesystem::path folder_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_woken_ = true, stops_ = false;
  std::thread thread_;
};

}  // namespace depickle::server::repos
