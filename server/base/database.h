// A SQLite database.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace depickle::server {

/// A parameter of a statement: NULL, an integer or text.
using Value = std::variant<std::nullptr_t, int64_t, std::string_view>;

class Row {
 public:
  explicit Row(sqlite3_stmt* statement) : statement_(statement) {}
  int64_t number(int column) const;
  std::string text(int column) const;  ///< empty for NULL
  bool null(int column) const;

 private:
  sqlite3_stmt* statement_;
};

/// A database file. Safe to use from several threads. Writers wait for each other; readers wait for nobody, and read
/// what the last finished statement or transaction has written, which is synced to the disk then. Throws Error{io} for
/// errors of SQLite.
class Database {
 public:
  /// Opens or creates `file` in an existing folder. `tables` are the statements that create the tables of version
  /// `version`. Throws Error{io}; Error{unsupported} if the file has a newer version.
  static std::shared_ptr<Database> open(const std::filesystem::path& file, const char* tables, int version);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Runs a statement that writes. Returns the number of changed rows.
  int64_t run(std::string_view sql, std::initializer_list<Value> values = {});
  /// Prepares a statement once and runs it `count` times. `values` returns the parameters of one run, which are valid
  /// until its next call.
  void run_each(std::string_view sql, size_t count, const std::function<std::vector<Value>(size_t)>& values);
  /// Reads: calls `take` for every row of the result. Inside a transaction it sees the changes of the transaction.
  void each(std::string_view sql, std::initializer_list<Value> values, const std::function<void(const Row&)>& take);
  /// The same with the connection that writes, which has the temporary tables. Waits for writers of this object.
  void each_of_writer(
      std::string_view sql, std::initializer_list<Value> values, const std::function<void(const Row&)>& take);
  /// Returns the first column of the first row; nullopt if there is no row or the value is NULL.
  std::optional<int64_t> number(std::string_view sql, std::initializer_list<Value> values);
  std::optional<std::string> text(std::string_view sql, std::initializer_list<Value> values);
  /// Returns the row id of the last INSERT.
  int64_t last_row_id();
  /// Returns the size of the database and its write-ahead log.
  uint64_t size_bytes();
  /// Gives the space of deleted rows back to the file system.
  void shrink();

  /// Runs `body` in a transaction, which an exception rolls back. Nested calls belong to the outermost transaction.
  /// Other writers wait.
  void transaction(const std::function<void()>& body);

 private:
  Database(std::filesystem::path file, sqlite3* handle) : file_(std::move(file)), handle_(handle) {}
  void create_tables(const char* tables, int version);
  /// Calls `read` with the connection of this thread's transaction, or with an idle reader.
  void with_reader(const std::function<void(sqlite3*)>& read);
  sqlite3* take_reader();

  const std::filesystem::path file_;
  sqlite3* handle_;  ///< writes
  std::recursive_mutex mutex_;
  int depth_ = 0;
  std::atomic<std::thread::id> writer_;  ///< the thread of the transaction
  std::mutex readers_mutex_;
  std::vector<sqlite3*> readers_;  ///< idle connections, at most one for each thread that reads
  size_t open_readers_ = 0;
};

}  // namespace depickle::server
