#include "server/page/events.h"

#include <gmock/gmock.h>

namespace depickle::server::page {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Watcher {
  Watcher(Channel& channel, uint64_t after) : stream(channel.stream(after)) {
    stream->subscribe([this] { ++woken; });
  }
  std::string take() {
    std::string out;
    open = stream->take(out);
    return out;
  }
  int woken = 0;
  bool open = true;
  std::shared_ptr<http::EventStream> stream;
};

TEST(Events, ASlowReaderGetsTheNewestEventOnly) {
  auto channel = std::make_shared<Channel>(100);
  Watcher watcher(*channel, 0);
  watcher.take();
  for (int i = 0; i < 1000; ++i) channel->progress(std::to_string(i));
  EXPECT_EQ(watcher.woken, 1000);
  EXPECT_EQ(watcher.take(), "id: 1100\nevent: progress\ndata: 999\n\n");
  EXPECT_EQ(watcher.take(), "");
}

TEST(Events, AReconnectedReaderGetsTheNewerEvents) {
  auto channel = std::make_shared<Channel>(0);
  channel->state("first");   // 1
  channel->progress("old");  // 2
  EXPECT_THAT(Watcher(*channel, 2).take(), testing::AllOf(HasSubstr("first"), Not(HasSubstr("old"))));
  channel->progress("new");  // 3
  EXPECT_THAT(Watcher(*channel, 2).take(), HasSubstr("new"));
  channel->end("over", Job{});
  Watcher late(*channel, 4);
  EXPECT_THAT(late.take(), HasSubstr("event: end\ndata: over"));
  EXPECT_FALSE(late.open);
  EXPECT_TRUE(channel->ended());
}

TEST(Events, ADestroyedStreamIsRemoved) {
  auto channel = std::make_shared<Channel>(0);
  {
    Watcher watcher(*channel, 0);
  }
  EXPECT_EQ(channel->watchers(), 0u);
  channel->state("no watcher");
}

}  // namespace
}  // namespace depickle::server::page
