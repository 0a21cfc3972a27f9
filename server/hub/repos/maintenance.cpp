#include "server/hub/repos/maintenance.h"

#include <chrono>
#include <string>

#include "depickle/base/error.h"
#include "server/hub/repos/garbage.h"

namespace depickle::server::repos {
namespace {

constexpr auto kInterval = std::chrono::hours(1);

}  // namespace

Maintenance::~Maintenance() {
  {
    std::lock_guard lock(mutex_);
    stops_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Maintenance::start(std::function<void(std::string_view)> log) {
  thread_ = std::thread([this, log = std::move(log)] { run(log); });
}

void Maintenance::wake() {
  {
    std::lock_guard lock(mutex_);
    is_woken_ = true;
  }
  changed_.notify_all();
}

void Maintenance::run(const std::function<void(std::string_view)>& log) {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kInterval, [this] { return is_woken_ || stops_; });
      if (stops_) return;
      is_woken_ = false;
    }
    collect(log);
  }
}

void Maintenance::collect(const std::function<void(std::string_view)>& log) {
  try {
    GarbageOptions options;
    options.only_changed_repos = true;
    options.progress = [this](std::string_view, std::string_view) {
      if (stops()) throw Error(Code::cancelled, "", "the server stops");
    };
    for (const std::string& problem : collect_garbage(folder_, options).problems) log(problem);
  } catch (const std::exception& error) {
    if (!stops()) log(std::string("cannot remove unused files: ") + error.what());
  }
}

bool Maintenance::stops() {
  std::lock_guard lock(mutex_);
  return stops_;
}

}  // namespace depickle::server::repos
