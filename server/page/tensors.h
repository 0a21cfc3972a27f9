// The table of tensors that a job has found, in the database.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace depickle::server {
class Database;
}

namespace depickle::server::page {

/// Names are whatever a model says: text to be shown, nothing else.
struct TensorRow {
  std::string name, dtype;
  std::vector<uint64_t> shape;
  uint64_t bytes = 0;
  std::string file, sha256, verdict, note;
};

struct TensorQuery {
  uint64_t offset = 0, limit = 200;
  std::string sort = "position";  ///< position, name, dtype, shape (by elements), bytes or verdict
  bool descending = false;
  std::string filter;  ///< part of a name or dtype, in any case (of ASCII letters)
};

/// Safe to use from several threads; readers do not wait for the writer.
class Tensors {
 public:
  /// `database` is the writer's.
  Tensors(std::shared_ptr<Database> database, std::shared_ptr<Database> reader)
      : database_(std::move(database)),
        reader_(std::move(reader)) {}

  /// All rows of a job, replaced in one go.
  void write(int64_t job, const std::vector<TensorRow>& rows);
  /// {"total", "matched", "offset", "tensors": […]}. Throws Error{malformed} for an unknown `sort`.
  std::string page(int64_t job, const TensorQuery& query) const;

 private:
  std::shared_ptr<Database> database_, reader_;
};

}  // namespace depickle::server::page
