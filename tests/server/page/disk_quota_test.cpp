#include "server/page/disk_quota.h"

#include <unistd.h>

#include <fstream>

#include <gmock/gmock.h>

#include "server/base/database.h"
#include "server/page/runner.h"

namespace depickle::server::page {
namespace {

using testing::UnorderedElementsAre;
using Hours = std::chrono::hours;
namespace fs = std::filesystem;

constexpr uint64_t kBytes = 20'000'000;  // the database is smaller

class DiskQuotaTest : public testing::Test {
 protected:
  DiskQuotaTest() {
    settings_.data = fs::temp_directory_path() / ("depickle-disk-quota-test-" + std::to_string(::getpid()));
    settings_.log = [this](std::string_view line) { log_.emplace_back(line); };
    fs::remove_all(settings_.data);
    fs::create_directories(settings_.data / "app" / "cache");
    jobs_ = std::make_unique<Jobs>(open_database(settings_.data), settings_.limits, settings_.log);
  }
  ~DiskQuotaTest() override {
    jobs_.reset();
    fs::remove_all(settings_.data);
  }

  static void put(const fs::path& folder, Hours ago) {
    fs::create_directories(folder / "blobs");
    const std::ofstream file(folder / "blobs" / "x");
    fs::resize_file(folder / "blobs" / "x", kBytes);
    for (const fs::path& path : {folder / "blobs" / "x", folder / "blobs"})
      fs::last_write_time(path, fs::file_time_type::clock::now() - ago);
  }
  void download(const std::string& name, Hours ago) { put(settings_.data / "app" / "cache" / name, ago); }
  void results(const std::string& id, Hours ago) { put(job_folder(settings_, id), ago); }
  std::string begin(const std::string& repo) {
    const std::string id = jobs_->add({.kind = JobKind::convert, .address = repo, .repo = repo}, "a", "", "").job.id;
    active_.push_back(jobs_->next(Lane::conversions));
    return id;
  }

  // Returns the folders that remain if the quota has room for `folders` of them.
  std::vector<std::string> remaining(uint64_t folders) {
    settings_.limits.disk_bytes = folders * kBytes + kBytes / 2;
    DiskQuota disk_quota(settings_, *jobs_);
    disk_quota.apply();
    std::vector<std::string> names;
    for (const char* of : {"cache", "jobs"})
      if (fs::exists(settings_.data / "app" / of))
        for (const auto& entry : fs::directory_iterator(settings_.data / "app" / of))
          names.push_back(entry.path().filename());
    EXPECT_EQ(disk_quota.used_bytes() / kBytes, names.size());
    return names;
  }

  Settings settings_;
  std::vector<std::string> log_;
  std::unique_ptr<Jobs> jobs_;
  std::vector<std::shared_ptr<ActiveJob>> active_;
};

TEST_F(DiskQuotaTest, DeletesLeastRecentlyUsedDownloadsFirst) {
  download("models--a", Hours(3));
  download("models--b", Hours(5));
  download("models--c", Hours(4));
  EXPECT_THAT(remaining(3), UnorderedElementsAre("models--a", "models--b", "models--c"));
  EXPECT_TRUE(log_.empty());
  EXPECT_THAT(remaining(1), UnorderedElementsAre("models--a"));
  EXPECT_THAT(
      log_, testing::ElementsAre("disk quota: deleted models--b (20.0 MB)", "disk quota: deleted models--c (20.0 MB)"));
}

TEST_F(DiskQuotaTest, KeepsRecentDownloadsLocksAndRunningJobs) {
  download("models--now", Hours(0));
  download(".locks", Hours(9));
  const std::string running = begin("m/1");
  results(running, Hours(9));
  EXPECT_THAT(remaining(0), UnorderedElementsAre("models--now", ".locks", running));
}

TEST_F(DiskQuotaTest, KeepsTheDownloadsOfARunningJob) {
  download("models--m--1", Hours(9));
  download("models--m--2", Hours(9));
  begin("m/1");
  EXPECT_THAT(remaining(0), UnorderedElementsAre("models--m--1"));
  jobs_->fail(*active_.back(), {});
  EXPECT_THAT(remaining(0), testing::IsEmpty());
}

TEST_F(DiskQuotaTest, RemovesWhatAKilledProcessWasDeleting) {
  put(settings_.data / "app" / "deleted" / "models--m--1", Hours(0));
  EXPECT_THAT(remaining(9), testing::IsEmpty());
  EXPECT_FALSE(fs::exists(settings_.data / "app" / "deleted"));
}

TEST_F(DiskQuotaTest, DeletesResultsAfterDownloadsAndKeepsTheirJobs) {
  const std::string ended = begin("m/1");
  jobs_->fail(*active_.back(), {});
  results(ended, Hours(2));
  results("of-no-job", Hours(0));
  download("models--a", Hours(2));
  EXPECT_THAT(remaining(2), UnorderedElementsAre(ended, "of-no-job"));
  EXPECT_THAT(remaining(1), UnorderedElementsAre("of-no-job"));
  EXPECT_THAT(remaining(0), testing::IsEmpty());
  EXPECT_TRUE(jobs_->find(ended));
}

TEST_F(DiskQuotaTest, CountsTheDatabaseAndDeletesTheOldestJobs) {
  std::vector<TensorRow> rows(20'000, {.name = std::string(1000, 'n'), .dtype = "F32"});
  std::vector<std::string> ids;
  for (const char* repo : {"m/1", "m/2"}) {
    ids.push_back(begin(repo));
    jobs_->done(*active_.back(), {.result = "{}"}, rows);
  }
  settings_.limits.disk_bytes = 30'000'000;
  DiskQuota disk_quota(settings_, *jobs_);
  disk_quota.apply();
  EXPECT_GT(disk_quota.used_bytes(), 40'000'000u);
  EXPECT_TRUE(jobs_->find(ids[0])) << "it ended a moment ago";
  open_database(settings_.data)->run("UPDATE jobs SET ended = ended - 7200000");
  disk_quota.apply();
  EXPECT_FALSE(jobs_->find(ids[0]));
  EXPECT_LT(disk_quota.used_bytes(), 30'000'000u);
  EXPECT_LT(fs::file_size(settings_.data / "app.sqlite"), 30'000'000u);
}

}  // namespace
}  // namespace depickle::server::page
