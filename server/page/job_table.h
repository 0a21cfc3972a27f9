// The rows of jobs in the database.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/page/job.h"

namespace depickle::server {
class Database;
}

namespace depickle::server::page {

/// Safe to use from several threads. Readers do not wait for the writer. Throws Error{io}.
class JobTable {
 public:
  explicit JobTable(std::shared_ptr<Database> database) : database_(std::move(database)) {}

  /// Adds a queued job and sets its `sequence`.
  void insert(Job& job);
  void save(const Job& job);
  /// Returns the jobs that an earlier process has not finished.
  std::vector<Job> unfinished() const;
  /// Returns a job with its result, or nullopt.
  std::optional<Job> find(std::string_view id) const;
  /// Returns jobs without results, the newest first; only those older than the job `before` if it is not empty.
  std::vector<Job> list(std::string_view visitor, uint64_t limit, std::string_view before) const;
  std::map<State, uint64_t> count() const;

  /// Deletes ended jobs that ended before `before` and those beyond the newest `kept`. Returns their ids.
  std::vector<std::string> remove_old(int64_t before, uint64_t kept);
  /// Deletes the oldest ended jobs that ended before `before`, at most `count`. Returns their ids.
  std::vector<std::string> remove_oldest(int64_t before, uint64_t count);
  /// Returns the size of the database.
  uint64_t size_bytes() const;

 private:
  void remove(std::string_view id);

  std::shared_ptr<Database> database_;
};

}  // namespace depickle::server::page
