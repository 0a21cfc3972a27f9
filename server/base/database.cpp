#include "server/base/database.h"

#include <sqlite3.h>

#include <cerrno>
#include <span>

#include <fmt/format.h>

#include "depickle/base/error.h"

namespace depickle::server {
namespace {

// A transaction of another process (`depickle user add`) takes milliseconds.
constexpr int kBusyMilliseconds = 10'000;

[[noreturn]] void fail(sqlite3* handle, std::string_view what) {
  const char* file = sqlite3_db_filename(handle, "main");
  Error error(Code::io, "", fmt::format("cannot {}: {}", what, sqlite3_errmsg(handle)),
      Where::in(file ? std::filesystem::path(file).filename().string() : ""));
  throw sqlite3_errcode(handle) == SQLITE_FULL ? error.with_errno(ENOSPC) : error;
}

sqlite3* connect(const std::filesystem::path& file, int flags) {
  sqlite3* handle = nullptr;
  const int result = sqlite3_open_v2(file.c_str(), &handle, flags | SQLITE_OPEN_FULLMUTEX, nullptr);
  if (result != SQLITE_OK) {
    sqlite3_close(handle);
    throw Error(
        Code::io, "", fmt::format("cannot open the database: {}", sqlite3_errstr(result)), Where::in(file.string()));
  }
  sqlite3_busy_timeout(handle, kBusyMilliseconds);
  return handle;
}

class Statement {
 public:
  Statement(sqlite3* handle, std::string_view sql, std::span<const Value> values = {}) : handle_(handle) {
    if (sqlite3_prepare_v2(handle, sql.data(), static_cast<int>(sql.size()), &statement_, nullptr) != SQLITE_OK) {
      fail(handle, fmt::format("prepare \"{}\"", sql));
    }
    bind(values);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  bool step() {
    int result = sqlite3_step(statement_);
    if (result != SQLITE_ROW && result != SQLITE_DONE) fail(handle_, "run a statement");
    return result == SQLITE_ROW;
  }
  Row row() const { return Row(statement_); }
  void bind(std::span<const Value> values) {
    int index = 0;
    for (const Value& value : values) bind(++index, value);
  }
  void reset() { sqlite3_reset(statement_); }

 private:
  void bind(int index, const Value& value) {
    int result = SQLITE_OK;
    if (const auto* number = std::get_if<int64_t>(&value)) {
      result = sqlite3_bind_int64(statement_, index, *number);
    } else if (const auto* text = std::get_if<std::string_view>(&value)) {
      // An empty view may have a null pointer, which would bind NULL.
      result = sqlite3_bind_text64(
          statement_, index, text->data() ? text->data() : "", text->size(), SQLITE_STATIC, SQLITE_UTF8);
    }
    if (result != SQLITE_OK) fail(handle_, "bind a value");
  }

  sqlite3* handle_;
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace

int64_t Row::number(int column) const { return sqlite3_column_int64(statement_, column); }
bool Row::null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
std::string Row::text(int column) const {
  const unsigned char* text = sqlite3_column_text(statement_, column);
  if (!text) return {};
  return {reinterpret_cast<const char*>(text), static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
}

std::shared_ptr<Database> Database::open(const std::filesystem::path& file, const char* tables, int version) {
  std::shared_ptr<Database> database(new Database(file, connect(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)));
  database->run("PRAGMA auto_vacuum=INCREMENTAL");  // only has an effect on a new file
  database->run("PRAGMA journal_mode=WAL");
  database->run("PRAGMA journal_size_limit=16777216");  // of the write-ahead log after a checkpoint
  database->run("PRAGMA synchronous=FULL");
  database->create_tables(tables, version);
  return database;
}

Database::~Database() {
  for (sqlite3* reader : readers_) sqlite3_close(reader);
  sqlite3_close(handle_);
}

void Database::create_tables(const char* tables, int supported) {
  transaction([&] {
    int64_t version = number("PRAGMA user_version", {}).value_or(0);
    if (version > supported) {
      throw Error(Code::unsupported, "",
          fmt::format("written by a newer depickle (have version {}, need at most {})", version, supported),
          Where::in(file_.string()));
    }
    if (version == supported) return;
    if (sqlite3_exec(handle_, tables, nullptr, nullptr, nullptr) != SQLITE_OK) fail(handle_, "create the tables");
    run(fmt::format("PRAGMA user_version={}", supported));
  });
}

sqlite3* Database::take_reader() {
  {
    std::lock_guard lock(readers_mutex_);
    if (!readers_.empty()) {
      sqlite3* reader = readers_.back();
      readers_.pop_back();
      return reader;
    }
    readers_.reserve(++open_readers_);
  }
  // Not READONLY: a reader must be able to recover the log of a process that was killed.
  return connect(file_, SQLITE_OPEN_READWRITE);
}

void Database::with_reader(const std::function<void(sqlite3*)>& read) {
  if (writer_ == std::this_thread::get_id()) return read(handle_);
  const std::unique_ptr<sqlite3, std::function<void(sqlite3*)>> reader(take_reader(), [this](sqlite3* used) {
    std::lock_guard lock(readers_mutex_);
    readers_.push_back(used);
  });
  read(reader.get());
}

int64_t Database::run(std::string_view sql, std::initializer_list<Value> values) {
  std::lock_guard lock(mutex_);
  Statement statement(handle_, sql, {values.begin(), values.size()});
  while (statement.step()) {
  }
  return sqlite3_changes64(handle_);
}

void Database::run_each(std::string_view sql, size_t count, const std::function<std::vector<Value>(size_t)>& values) {
  std::lock_guard lock(mutex_);
  Statement statement(handle_, sql);
  for (size_t i = 0; i < count; ++i) {
    statement.reset();
    statement.bind(values(i));
    while (statement.step()) {
    }
  }
}

void Database::each(
    std::string_view sql, std::initializer_list<Value> values, const std::function<void(const Row&)>& take) {
  with_reader([&](sqlite3* reader) {
    Statement statement(reader, sql, {values.begin(), values.size()});
    while (statement.step()) take(statement.row());
  });
}

void Database::each_of_writer(
    std::string_view sql, std::initializer_list<Value> values, const std::function<void(const Row&)>& take) {
  std::lock_guard lock(mutex_);
  Statement statement(handle_, sql, {values.begin(), values.size()});
  while (statement.step()) take(statement.row());
}

std::optional<int64_t> Database::number(std::string_view sql, std::initializer_list<Value> values) {
  std::optional<int64_t> number;
  with_reader([&](sqlite3* reader) {
    Statement statement(reader, sql, {values.begin(), values.size()});
    if (statement.step() && !statement.row().null(0)) number = statement.row().number(0);
  });
  return number;
}

std::optional<std::string> Database::text(std::string_view sql, std::initializer_list<Value> values) {
  std::optional<std::string> text;
  with_reader([&](sqlite3* reader) {
    Statement statement(reader, sql, {values.begin(), values.size()});
    if (statement.step() && !statement.row().null(0)) text = statement.row().text(0);
  });
  return text;
}

int64_t Database::last_row_id() {
  std::lock_guard lock(mutex_);
  return sqlite3_last_insert_rowid(handle_);
}

uint64_t Database::size_bytes() {
  std::error_code none;
  uint64_t log_bytes = std::filesystem::file_size(file_.string() + "-wal", none);
  return static_cast<uint64_t>(
             number("PRAGMA page_count", {}).value_or(0) * number("PRAGMA page_size", {}).value_or(0)) +
         (none ? 0 : log_bytes);
}

void Database::shrink() {
  std::lock_guard lock(mutex_);
  run("PRAGMA incremental_vacuum");
  sqlite3_busy_timeout(handle_, 0);  // if other connections read, the next call shrinks the files
  run("PRAGMA wal_checkpoint(TRUNCATE)");
  sqlite3_busy_timeout(handle_, kBusyMilliseconds);
}

void Database::transaction(const std::function<void()>& body) {
  std::lock_guard lock(mutex_);
  if (depth_ == 0) run("BEGIN IMMEDIATE");
  ++depth_;
  writer_ = std::this_thread::get_id();
  auto leave = [this] {
    if (--depth_ == 0) writer_ = std::thread::id();
    return depth_ == 0;
  };
  try {
    body();
  } catch (...) {
    if (leave()) sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
  if (!leave()) return;
  try {
    run("COMMIT");
  } catch (...) {
    sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);  // if the COMMIT has left a transaction
    throw;
  }
}

}  // namespace depickle::server
