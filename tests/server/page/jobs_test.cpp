#include "server/page/jobs.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include <gmock/gmock.h>

#include "depickle/base/error.h"
#include "server/base/database.h"
#include "server/page/address.h"

namespace depickle::server::page {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class JobsTest : public testing::Test {
 protected:
  JobsTest() {
    folder_ = std::filesystem::temp_directory_path() / ("depickle-jobs-test-" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    open();
  }
  ~JobsTest() override {
    jobs_.reset();
    std::filesystem::remove_all(folder_);
  }
  /// Opens the database as a restarted process does.
  void open() {
    jobs_.reset();
    auto database = open_database(folder_);
    jobs_ = std::make_unique<Jobs>(database, limits_, [this](std::string_view line) { log_ += line; });
    tensors_ = std::make_unique<Tensors>(database);
  }
  std::string add(const std::string& visitor, const std::string& repo, const std::string& token = "",
      const std::string& address = "") {
    return jobs_->add({.kind = JobKind::convert, .address = repo, .repo = repo}, visitor, address, token).job.id;
  }
  std::string next() { return jobs_->next(Lane::conversions)->job.request.repo; }
  Job at(const std::string& id) { return jobs_->find(id).value(); }

  std::filesystem::path folder_;
  PageLimits limits_{.queued = 6, .queued_of_visitor = 4};
  std::string log_;
  std::unique_ptr<Jobs> jobs_;
  std::unique_ptr<Tensors> tensors_;
};

TEST_F(JobsTest, VisitorsTakeTurns) {
  std::vector<std::string> ids = {add("a", "m/1"), add("a", "m/2"), add("a", "m/3"), add("b", "m/4"), add("c", "m/5")};
  std::vector<uint64_t> positions;
  for (const std::string& id : ids) positions.push_back(at(id).position.value());
  EXPECT_THAT(positions, ElementsAre(1, 4, 5, 2, 3));
  std::vector<std::string> order;
  for (size_t i = 0; i < ids.size(); ++i) order.push_back(next());
  EXPECT_THAT(order, ElementsAre("m/1", "m/4", "m/5", "m/2", "m/3"));
}

TEST_F(JobsTest, ALateVisitorDoesNotWaitForAllJobsOfAnother) {
  for (std::string repo : {"m/1", "m/2", "m/3"}) add("a", repo);
  EXPECT_EQ(next(), "m/1");
  add("b", "m/4");
  EXPECT_EQ(next(), "m/2");
  EXPECT_EQ(next(), "m/4");
}

TEST_F(JobsTest, TheSameRequestIsTheSameJobUnlessTheTokenDiffers) {
  std::string id = add("a", "m/1");
  EXPECT_EQ(add("a", "m/1"), id);
  EXPECT_NE(add("b", "m/1"), id);
  EXPECT_NE(add("a", "m/1", "hf_x"), id);
}

TEST_F(JobsTest, LimitsTheQueue) {
  for (std::string repo : {"m/1", "m/2", "m/3", "m/4"}) add("a", repo);
  EXPECT_THROW(add("a", "m/5"), Error);
  add("b", "m/5"), add("b", "m/6");
  EXPECT_THROW(add("c", "m/7"), Error);
  next();
  EXPECT_NO_THROW(add("c", "m/7"));
}

TEST_F(JobsTest, LimitsTheWaitingJobsOfAnAddress) {
  limits_ = {.queued = 100, .queued_of_visitor = 4, .queued_of_address = 2};
  open();
  auto add_at = [this](const std::string& visitor, const std::string& address) {
    return add(visitor, "m/" + visitor, "", address);
  };
  add_at("1", "192.0.2.1"), add_at("2", "192.0.2.1");
  EXPECT_THROW(add_at("3", "192.0.2.1"), Error) << "another cookie is not another client";
  add_at("4", "192.0.2.2"), add_at("5", "2001:db8::1"), add_at("6", "2001:db8::2");
  EXPECT_THROW(add_at("7", "2001:db8::ffff"), Error) << "the same network";
  for (const char* visitor : {"8", "9", "10"}) EXPECT_NO_THROW(add_at(visitor, "127.0.0.1")) << "a proxy";
}

TEST_F(JobsTest, ARestartQueuesJobsWithoutATokenAndFailsTheOthers) {
  std::string plain = add("a", "m/1"), with_token = add("a", "m/2", "hf_secret");
  EXPECT_EQ(next(), "m/1");
  open();
  EXPECT_EQ(at(plain).state, State::queued);
  EXPECT_EQ(at(with_token).state, State::failed);
  EXPECT_THAT(at(with_token).outcome.problem->message, HasSubstr("token was in memory only"));
  EXPECT_EQ(next(), "m/1");
  open();
  EXPECT_EQ(at(plain).state, State::failed) << "after two attempts";
  EXPECT_THAT(log_, testing::Not(HasSubstr("hf_secret")));
}

TEST_F(JobsTest, RequeuedJobsDoNotCountAsAttempts) {
  std::string id = add("a", "m/1");
  for (int i = 0; i < 3; ++i) {
    auto active = jobs_->next(Lane::conversions);
    jobs_->requeue(*active);
    active.reset();
    open();
  }
  EXPECT_EQ(at(id).state, State::queued);
}

TEST_F(JobsTest, StoresTheResultAndTheTensorTable) {
  std::string id = add("a", "m/1");
  auto active = jobs_->next(Lane::conversions);
  jobs_->done(*active, {.result = R"({"a":1})", .sentence = "well", .answer = "yes"},
      {{.name = "b\"<", .dtype = "F32", .shape = {2, 3}, .bytes = 24}, {.name = "a", .dtype = "I8", .bytes = 1}});
  open();
  EXPECT_THAT(to_json(at(id), true), HasSubstr(R"("result":{"a":1})"));
  EXPECT_THAT(tensors_->page(at(id).sequence, {.sort = "name", .filter = "f3"}),
      HasSubstr(R"("total":2,"matched":1,"offset":0,"tensors":[{"position":0,"name":"b\"<")"));
  EXPECT_THROW(tensors_->page(1, {.sort = "name; DROP TABLE jobs"}), Error);
}

TEST_F(JobsTest, CancelEndsWaitingJobsAndStopsRunningOnes) {
  std::string first = add("a", "m/1"), second = add("a", "m/2"), third = add("a", "m/3");
  auto active = jobs_->next(Lane::conversions);
  EXPECT_TRUE(jobs_->cancel(first));
  EXPECT_EQ(active->stop, ActiveJob::Stop::cancelled);
  EXPECT_TRUE(jobs_->cancel(second));
  EXPECT_EQ(at(second).state, State::cancelled);
  EXPECT_FALSE(jobs_->cancel(second));
  EXPECT_EQ(at(third).position, 1u);
  EXPECT_EQ(next(), "m/3");
}

TEST_F(JobsTest, DeletesOldJobs) {
  limits_.kept = 2;
  open();
  for (std::string repo : {"m/1", "m/2", "m/3"}) {
    add("a", repo);
    jobs_->done(*jobs_->next(Lane::conversions), {.result = "{}", .sentence = {}, .answer = "yes"}, {});
  }
  EXPECT_EQ(jobs_->remove_old().size(), 1u);
  EXPECT_EQ(jobs_->list("a", 10, "").size(), 2u);
}

TEST_F(JobsTest, AFailedSaveChangesNothing) {
  const std::string first = add("a", "m/1"), second = add("a", "m/2");
  auto other = open_database(folder_);
  other->run("CREATE TRIGGER broken BEFORE UPDATE ON jobs BEGIN SELECT RAISE(ABORT, 'broken disk'); END");
  EXPECT_THROW(jobs_->next(Lane::conversions), Error);
  EXPECT_EQ(at(first).state, State::queued);
  EXPECT_EQ(at(first).position, 1u);
  EXPECT_THROW(jobs_->cancel(second), Error);
  EXPECT_EQ(at(second).position, 2u);
  other->run("DROP TRIGGER broken");
  auto active = jobs_->next(Lane::conversions);
  EXPECT_EQ(active->job.id, first);
  EXPECT_EQ(active->job.attempts, 1u);
  other->run("CREATE TRIGGER broken BEFORE UPDATE ON jobs BEGIN SELECT RAISE(ABORT, 'broken disk'); END");
  EXPECT_THROW(jobs_->done(*active, {.result = "{}", .answer = "yes"}, {}), Error);
  EXPECT_EQ(at(first).state, State::running);
  EXPECT_TRUE(jobs_->channel(first));
  other->run("DROP TRIGGER broken");
  jobs_->done(*active, {.result = "{}", .answer = "yes"}, {});
  EXPECT_EQ(at(first).outcome.answer, "yes");
  EXPECT_TRUE(jobs_->cancel(second));
}

TEST_F(JobsTest, ReadingDoesNotWaitForASlowDisk) {
  using namespace std::chrono_literals;
  const std::string id = add("a", "m/1"), ended = add("a", "m/2");
  jobs_->cancel(ended);
  std::atomic<bool> is_locked = false, is_over = false;
  std::thread slow([&] {
    open_database(folder_)->transaction([&] {
      is_locked = true;
      while (!is_over) std::this_thread::sleep_for(5ms);
    });
  });
  while (!is_locked) std::this_thread::sleep_for(1ms);
  std::vector<std::thread> writers;
  writers.emplace_back([&] { add("b", "m/3"); });
  writers.emplace_back([&] { jobs_->next(Lane::conversions); });
  std::this_thread::sleep_for(50ms);  // so that they wait for the disk
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(at(id).state, State::queued) << "a state is published after it was saved";
  EXPECT_EQ(at(ended).state, State::cancelled);
  EXPECT_TRUE(jobs_->channel(id));
  EXPECT_EQ(jobs_->list("a", 10, "").size(), 2u);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
  is_over = true;
  slow.join();
  for (std::thread& writer : writers) writer.join();
}

TEST(Addresses, AreParsedForThisHub) {
  auto read = [](std::string text, std::string own = "") {
    return parse_job_request(JobKind::plan, text, 0, true, "http://127.0.0.1:80", own);
  };
  EXPECT_EQ(read(" me/demo@v1 ").revision, "v1");
  EXPECT_EQ(read("hf://me/demo").repo, "me/demo");
  EXPECT_TRUE(read("https://huggingface.co/me/demo/tree/main").is_from_public_hub);
  EXPECT_EQ(read("http://box:8080/me/demo", "box:8080").repo, "me/demo");
  for (std::string wrong :
      {"https://huggingface.co.evil.example/a/b", "https://evil.example/a/b", "http://127.0.0.1:8080/a/b",
          "http://box:8080/me/demo", "hf://datasets/a/b", "", "../etc/passwd", "file:///etc/passwd"})
    EXPECT_THROW(read(wrong), Error) << wrong;
}

}  // namespace
}  // namespace depickle::server::page
