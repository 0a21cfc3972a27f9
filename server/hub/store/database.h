// SQLite, in the few words that the server needs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace depickle::server {

/// What a statement's `?` stand for.
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

/// One connection, used by one thread at a time; the others wait. A statement or transaction that returned is on the disk.
/// Errors of SQLite throw Error{io}.
class Database {
 public:
  /// DATA/hub.sqlite, created with its tables where there is none.
  static std::shared_ptr<Database> open(const std::filesystem::path& data_folder);
  /// A file of another kind: `tables` are the statements that make version `version` of it. Its folder must be there.
  static std::shared_ptr<Database> open(const std::filesystem::path& file, const char* tables, int version);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// → the number of rows changed.
  int64_t run(std::string_view sql, std::initializer_list<Value> values = {});
  /// The statement `count` times, prepared once; `values` gives what its `?` stand for, valid until the next call.
  void run_each(std::string_view sql, size_t count, const std::function<std::vector<Value>(size_t)>& values);
  void each(std::string_view sql, std::initializer_list<Value> values, const std::function<void(const Row&)>& take);
  /// The first row's first column.
  std::optional<int64_t> number(std::string_view sql, std::initializer_list<Value> values);
  std::optional<std::string> text(std::string_view sql, std::initializer_list<Value> values);
  int64_t last_key();

  /// All that `body` runs happens or nothing; other connections wait. An exception rolls back. May be nested.
  void transaction(const std::function<void()>& body);

 private:
  explicit Database(sqlite3* handle) : handle_(handle) {}
  void create_tables(const std::filesystem::path& file, const char* tables, int version);

  sqlite3* handle_;
  std::recursive_mutex mutex_;
  int depth_ = 0;
};

}  // namespace depickle::server
