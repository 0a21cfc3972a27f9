// What happens to one job, told to everybody who watches it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/message.h"
#include "server/page/job.h"

namespace depickle::server::page {

/// Remembers the newest event of each sort, so that whoever comes late, or reads slowly, has all that still matters; and holds no more than
/// that. Safe to use from several threads.
class Channel : public std::enable_shared_from_this<Channel> {
 public:
  /// Ids go on from `first_id`; it is a clock where they must also be newer than those of an earlier process.
  explicit Channel(uint64_t first_id) : last_id_(first_id) {}

  void state(const std::string& json) { tell(state_, "state", json); }
  void progress(const std::string& json) { tell(progress_, "progress", json); }
  /// The last event; the streams close behind it. `job` is what has ended.
  void end(const std::string& json, const Job& job);
  /// Empty before the end.
  std::shared_ptr<const Job> ended() const;

  /// What is newer than `after`, and what comes.
  std::shared_ptr<http::EventStream> stream(uint64_t after);
  size_t watchers() const;

 private:
  class Stream;
  struct Event {
    uint64_t id = 0;
    std::shared_ptr<const std::string> text;
  };
  void tell(Event& event, std::string_view sort, const std::string& json);

  mutable std::mutex mutex_;
  uint64_t last_id_;
  Event state_, progress_, end_;
  std::shared_ptr<const Job> ended_;
  std::vector<Stream*> streams_;
};

/// One event as text: `id: …`, `event: …`, `data: …`. `json` holds no line feed.
std::string event_text(uint64_t id, std::string_view sort, std::string_view json);

/// A stream with this text and no more.
std::shared_ptr<http::EventStream> finished_stream(std::string text);

/// A 200 with the fields that an event stream needs.
http::Response event_response(std::shared_ptr<http::EventStream> stream);

}  // namespace depickle::server::page
