// The events of a job, for every client that watches it.
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

/// Keeps the newest event of each type, and no other, so that a late or slow client gets the current state. Safe to use
/// from several threads.
class Channel : public std::enable_shared_from_this<Channel> {
 public:
  /// Event ids follow `first_id`. Pass a clock if they must be larger than those of an earlier process.
  explicit Channel(uint64_t first_id) : last_id_(first_id) {}

  void state(const std::string& json) { publish(state_, "state", json); }
  void progress(const std::string& json) { publish(progress_, "progress", json); }
  /// Publishes the last event, after which the streams end. `job` is the job that has ended.
  void end(const std::string& json, const Job& job);
  /// Returns the job after end(), else nullptr.
  std::shared_ptr<const Job> ended() const;

  /// Returns a stream of the events with an id larger than `after`.
  std::shared_ptr<http::EventStream> stream(uint64_t after);
  size_t watchers() const;

 private:
  class Stream;
  struct Event {
    uint64_t id = 0;
    std::shared_ptr<const std::string> text;
  };
  void publish(Event& event, std::string_view type, const std::string& json);

  mutable std::mutex mutex_;
  uint64_t last_id_;
  Event state_, progress_, end_;
  std::shared_ptr<const Job> ended_;
  std::vector<Stream*> streams_;
};

/// Returns an event as text: `id: …`, `event: …`, `data: …`. `json` must not contain a line feed.
std::string event_text(uint64_t id, std::string_view type, std::string_view json);

/// Returns a stream that sends `text` and ends.
std::shared_ptr<http::EventStream> finished_stream(std::string text);

/// Returns a 200 response with the header fields of an event stream.
http::Response event_response(std::shared_ptr<http::EventStream> stream);

}  // namespace depickle::server::page
