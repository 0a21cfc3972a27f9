#include "server/page/events.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace depickle::server::page {
namespace {

constexpr std::string_view kRetry = "retry: 1000\n\n";

class FixedStream final : public http::EventStream {
 public:
  explicit FixedStream(std::string text) : text_(std::move(text)) {}
  void subscribe(std::function<void()>) override {}
  bool take(std::string& out) override { return out += text_, false; }

 private:
  std::string text_;
};

}  // namespace

class Channel::Stream final : public http::EventStream {
 public:
  Stream(std::shared_ptr<Channel> channel, uint64_t after) : channel_(std::move(channel)), seen_(after) {}
  ~Stream() override {
    std::lock_guard lock(channel_->mutex_);
    std::erase(channel_->streams_, this);
  }

  void subscribe(std::function<void()> wake) override {
    std::lock_guard lock(channel_->mutex_);
    wake_ = std::move(wake);
    channel_->streams_.push_back(this);
  }

  bool take(std::string& out) override {
    std::lock_guard lock(channel_->mutex_);
    if (!started_) out += kRetry;
    std::array<const Event*, 3> events = {&channel_->state_, &channel_->progress_, &channel_->end_};
    std::ranges::sort(events, {}, &Event::id);
    const bool has_ended = channel_->end_.text != nullptr;
    for (const Event* event : events) {
      // A new stream always begins with the state. The end is sent even if its id was seen.
      bool always = event == &channel_->end_ || (event == &channel_->state_ && !started_ && !has_ended);
      if (event->text && (always || event->id > seen_)) out += *event->text;
    }
    started_ = true;
    seen_ = channel_->last_id_;
    return !channel_->end_.text;
  }

  const std::function<void()>& wake() const { return wake_; }

 private:
  std::shared_ptr<Channel> channel_;
  std::function<void()> wake_;
  uint64_t seen_;
  bool started_ = false;
};

void Channel::publish(Event& event, std::string_view type, const std::string& json) {
  std::lock_guard lock(mutex_);
  if (end_.text) return;
  event.id = ++last_id_;
  event.text = std::make_shared<const std::string>(event_text(event.id, type, json));
  for (Stream* stream : streams_) stream->wake()();
}

void Channel::end(const std::string& json, const Job& job) {
  {
    std::lock_guard lock(mutex_);
    ended_ = std::make_shared<const Job>(job);
  }
  publish(end_, "end", json);
}

std::shared_ptr<const Job> Channel::ended() const {
  std::lock_guard lock(mutex_);
  return ended_;
}

std::shared_ptr<http::EventStream> Channel::stream(uint64_t after) {
  return std::make_shared<Stream>(shared_from_this(), after);
}

size_t Channel::watchers() const {
  std::lock_guard lock(mutex_);
  return streams_.size();
}

std::string event_text(uint64_t id, std::string_view type, std::string_view json) {
  return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", id, type, json);
}

std::shared_ptr<http::EventStream> finished_stream(std::string text) {
  return std::make_shared<FixedStream>(std::string(kRetry) + std::move(text));
}

http::Response event_response(std::shared_ptr<http::EventStream> stream) {
  http::Response response;
  response.with("Content-Type", "text/event-stream; charset=utf-8").with("Cache-Control", "no-store");
  response.with("X-Accel-Buffering", "no");  // a proxy must not buffer
  response.body = std::move(stream);
  return response;
}

}  // namespace depickle::server::page
