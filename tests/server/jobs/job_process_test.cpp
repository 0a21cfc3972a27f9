#include "server/page/job_process.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <iterator>
#include <thread>

#include <gmock/gmock.h>

#include "server/base/database.h"
#include "server/page/runner.h"

namespace depickle::server::page {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

class JobProcessTest : public testing::Test {
 protected:
  JobProcessTest() {
    settings_.data = fs::temp_directory_path() / ("depickle-job-process-test-" + std::to_string(::getpid()));
    fs::remove_all(settings_.data);
    fs::create_directories(settings_.data / "app");
    settings_.version = "0";
    settings_.hub = "http://127.0.0.1:9";
    settings_.token = "hf_account";
    settings_.log = [this](std::string_view line) {
      std::scoped_lock lock(log_mutex_);
      log_ += std::string(line) + "\n";
    };
    settings_.job_program.path = MISBEHAVING_JOBS;
    settings_.job_program.environment = {"ASAN_OPTIONS=detect_leaks=0:handle_segv=0:handle_abort=0"};
    database_ = open_database(settings_.data);
    jobs_ = std::make_unique<Jobs>(database_, settings_.limits, settings_.log);
  }
  ~JobProcessTest() override {
    runner_.reset();
    jobs_.reset();
    fs::remove_all(settings_.data);
  }

  std::string add(const std::string& action, const std::string& token = "", JobKind kind = JobKind::inspect) {
    return jobs_->add({.kind = kind, .address = action, .repo = "m/1"}, "visitor", "", token).job.id;
  }
  void start() {
    if (runner_) return;
    runner_ = std::make_unique<Runner>(settings_, *jobs_, [] {});
    runner_->start();
  }
  Job wait(const std::string& id) {
    for (int i = 0; i < 30'000; ++i, std::this_thread::sleep_for(10ms))
      if (Job job = jobs_->find(id).value(); job.has_ended()) return job;
    throw std::runtime_error("the job does not end");
  }
  Job run(const std::string& action, const std::string& token = "", JobKind kind = JobKind::inspect) {
    const std::string id = add(action, token, kind);
    start();
    return wait(id);
  }
  std::string message(const std::string& action) {
    const Job job = run(action);
    EXPECT_EQ(job.state, State::failed);
    EXPECT_EQ(run("well").state, State::done) << "the next job runs";
    return job.outcome.problem ? job.outcome.problem->message : "";
  }
  std::string log() {
    std::scoped_lock lock(log_mutex_);
    return log_;
  }
  void wait_for_log(const std::string& text) {
    for (int i = 0; i < 1000 && log().find(text) == std::string::npos; ++i) std::this_thread::sleep_for(10ms);
    EXPECT_THAT(log(), HasSubstr(text));
  }
  void wait_until_running(const std::string& id) {
    while (jobs_->find(id)->state != State::running) std::this_thread::sleep_for(5ms);
  }

  Settings settings_;
  std::mutex log_mutex_;
  std::string log_;
  std::shared_ptr<Database> database_;
  std::unique_ptr<Jobs> jobs_;
  std::unique_ptr<Runner> runner_;
};

TEST_F(JobProcessTest, AResultIsSaved) {
  const Job job = run("well");
  EXPECT_EQ(job.state, State::done);
  EXPECT_EQ(job.outcome.sentence, "well done");
  EXPECT_FALSE(fs::exists(job_folder(settings_, job.id))) << "an empty folder is removed";
}

TEST_F(JobProcessTest, ADeadProcessFailsItsJobOnly) {
  EXPECT_EQ(message("kill"), "the job's process was ended by signal 9 (KILL)");
  EXPECT_EQ(message("crash"), "the job's process was ended by signal 11 (SEGV)");
  EXPECT_EQ(message("abort"), "the job's process was ended by signal 6 (ABRT)");
  EXPECT_THAT(log(), HasSubstr("its process wrote: \"a\\x1b[2J reason"));
  EXPECT_EQ(message("exit"), "the job's process ended with exit status 3 before the end of the job");
  EXPECT_EQ(message("close"), "the job's process closed its socket before the end of the job");
  EXPECT_GE(runner_->process_deaths(), 5u);
}

TEST_F(JobProcessTest, AProgramThatDoesNotExistFailsTheJob) {
  settings_.job_program.path = settings_.data / "none";
  EXPECT_THAT(run("well").outcome.problem->message, HasSubstr("the program could not be started"));
}

TEST_F(JobProcessTest, AnInvalidMessageEndsTheProcess) {
  EXPECT_THAT(message("garbage"), HasSubstr("sent an invalid message"));
  EXPECT_THAT(message("phase"), HasSubstr("sent an invalid message: phase"));
  EXPECT_THAT(message("huge"), HasSubstr("sent an invalid message: it is too large"));
  EXPECT_THAT(message("tensors"), HasSubstr("sent an invalid message: "));
}

TEST_F(JobProcessTest, AFloodOfProgressIsThinnedOut) {
  const std::string id = add("flood");
  const auto channel = jobs_->channel(id);
  const auto stream = channel->stream(0);
  std::atomic<int> events = 0;
  stream->subscribe([&] { ++events; });
  start();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(wait(id).state, State::done);
  const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_LT(events, 10 + 25 * seconds);
}

TEST_F(JobProcessTest, ASilentProcessIsStoppedAfterTheTimeLimit) {
  settings_.limits.job = std::chrono::seconds(1);
  const Job job = run("silent");
  EXPECT_EQ(job.state, State::failed);
  EXPECT_EQ(job.outcome.problem->message, "the job took longer than 1 second");
  EXPECT_THAT(run("half").outcome.problem->message, HasSubstr("took longer than"));
}

TEST_F(JobProcessTest, ACancelledProcessMayEndByItself) {
  const std::string id = add("stop");
  start();
  wait_until_running(id);
  const auto begin = std::chrono::steady_clock::now();
  jobs_->cancel(id);
  EXPECT_EQ(wait(id).state, State::cancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 3s);
}

TEST_F(JobProcessTest, ACancelledProcessThatDoesNotEndIsKilled) {
  const std::string id = add("silent");
  start();
  wait_until_running(id);
  const auto begin = std::chrono::steady_clock::now();
  jobs_->cancel(id);
  EXPECT_EQ(wait(id).state, State::cancelled);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 4900ms);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 15s);
}

TEST_F(JobProcessTest, AStopQueuesTheJobAgain) {
  const std::string id = add("stop"), with_token = add("stop", "hf_visitor");
  start();
  wait_until_running(id);
  wait_until_running(with_token);
  runner_->stop();
  EXPECT_EQ(jobs_->find(id)->state, State::queued);
  EXPECT_EQ(jobs_->find(with_token)->state, State::failed);
}

TEST_F(JobProcessTest, TheEnvironmentIsChosen) {
  ::setenv("HF_TOKEN", "hf_secret", 1);
  settings_.job_program.environment.emplace_back("LANG=C");
  const std::string variables = run("environment").outcome.sentence;
  EXPECT_THAT(variables, HasSubstr("LANG=C"));
  EXPECT_THAT(variables, Not(HasSubstr("hf_")));
}

TEST_F(JobProcessTest, TheTokenOfTheAccountIsForJobsThatActAsTheAccountOnly) {
  auto tokens = [this](const std::string& token, JobKind kind) { return run("tokens", token, kind).outcome.sentence; };
  EXPECT_EQ(tokens("hf_visitor", JobKind::inspect), "hf_visitor/");
  EXPECT_EQ(tokens("", JobKind::inspect), "/");
  EXPECT_EQ(tokens("hf_visitor", JobKind::convert), "hf_visitor/");
  EXPECT_EQ(tokens("", JobKind::convert), "/hf_account");
}

TEST_F(JobProcessTest, DoesNotInheritFiles) {
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  run("well");
  const auto before = open_files();
  for (const char* action : {"kill", "huge", "well"}) run(action);
  EXPECT_EQ(open_files(), before);
}

TEST_F(JobProcessTest, AnEndThatDoesNotFitOnTheDiskIsSavedLater) {
  const std::string id = add("large");
  database_->run("PRAGMA max_page_count = 1");  // no new pages
  start();
  wait_for_log("its end cannot be saved: app.sqlite: cannot run a statement: database or disk is full");
  EXPECT_EQ(jobs_->find(id)->state, State::running);
  database_->run("PRAGMA max_page_count = 1000000");
  const Job job = wait(id);
  EXPECT_EQ(job.state, State::done);
  EXPECT_GT(job.outcome.result.size(), 1'000'000u);
}

TEST_F(JobProcessTest, AJobWaitsWhileItsStartCannotBeSaved) {
  const std::string id = add("well");
  database_->run("CREATE TRIGGER broken BEFORE UPDATE ON jobs BEGIN SELECT RAISE(ABORT, 'broken disk'); END");
  start();
  wait_for_log("the next job cannot be started: app.sqlite: cannot run a statement: broken disk");
  EXPECT_EQ(jobs_->find(id)->state, State::queued);
  EXPECT_EQ(jobs_->find(id)->position, 1u);
  database_->run("DROP TRIGGER broken");
  EXPECT_EQ(wait(id).state, State::done);
}

TEST_F(JobProcessTest, AStopDoesNotWaitForABrokenDisk) {
  const std::string id = add("stop");
  start();
  wait_until_running(id);
  database_->run("CREATE TRIGGER broken BEFORE UPDATE ON jobs BEGIN SELECT RAISE(ABORT, 'broken disk'); END");
  const auto begin = std::chrono::steady_clock::now();
  runner_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 4s);
  database_->run("DROP TRIGGER broken");
  runner_.reset();
  jobs_ = std::make_unique<Jobs>(database_, settings_.limits, settings_.log);
  EXPECT_EQ(jobs_->find(id)->state, State::queued) << "the next process runs it again";
}

}  // namespace
}  // namespace depickle::server::page
