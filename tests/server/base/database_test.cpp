#include "server/base/database.h"

#include <future>
#include <latch>
#include <thread>

#include <gtest/gtest.h>

#include "tests/server/hub/store_fixture.h"

namespace depickle::server {
namespace {

class DatabaseTest : public testing::Test {
 protected:
  int64_t sum() { return database_->number("SELECT total(value) FROM numbers", {}).value_or(-1); }
  void insert(int64_t value) { database_->run("INSERT INTO numbers VALUES(?)", {value}); }

  repos::TemporaryFolder folder_;
  std::shared_ptr<Database> database_ =
      Database::open(folder_.path() / "test.sqlite", "CREATE TABLE numbers(value INTEGER)", 1);
};

TEST_F(DatabaseTest, ReadersDoNotWaitForATransaction) {
  insert(1);
  std::latch changed(1), released(1);
  std::thread writer([&] {
    database_->transaction([&] {
      insert(2);
      EXPECT_EQ(sum(), 3) << "a transaction sees its own changes";
      changed.count_down();
      released.wait();
    });
  });
  changed.wait();
  std::future<int64_t> read = std::async(std::launch::async, [&] { return sum(); });
  EXPECT_EQ(read.wait_for(std::chrono::seconds(30)), std::future_status::ready);
  released.count_down();
  writer.join();
  EXPECT_EQ(read.get(), 1);
  EXPECT_EQ(sum(), 3);
}

TEST_F(DatabaseTest, AnExceptionRollsBack) {
  EXPECT_THROW(database_->transaction([&] {
    insert(1);
    database_->transaction([&] { insert(2); });
    throw std::runtime_error("");
  }),
      std::runtime_error);
  EXPECT_EQ(sum(), 0);
  insert(4);
  EXPECT_EQ(sum(), 4);
}

TEST_F(DatabaseTest, ReadsInsideOfReadsUseOtherConnections) {
  for (int64_t value : {1, 2, 3}) insert(value);
  int64_t total = 0;
  database_->each("SELECT value FROM numbers", {}, [&](const Row& row) {
    total += row.number(0) * sum();
    insert(0);
  });
  EXPECT_EQ(total, 36);
}

}  // namespace
}  // namespace depickle::server
