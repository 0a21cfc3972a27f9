// The tensor table of a job, in the database.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/jobs/outcome.h"

namespace depickle::server {
class Database;
}

namespace depickle::server::page {

using jobs::TensorRow;

struct TensorQuery {
  uint64_t offset = 0, limit = 200;
  std::string sort = "position";  ///< position, name, dtype, shape (by elements), bytes or verdict
  bool descending = false;
  std::string filter;  ///< substring of a name or dtype; ignores the case of ASCII letters
};

/// Safe to use from several threads. Readers do not wait for the writer.
class Tensors {
 public:
  explicit Tensors(std::shared_ptr<Database> database) : database_(std::move(database)) {}

  /// Replaces all rows of a job in one transaction.
  void write(int64_t job, const std::vector<TensorRow>& rows);
  /// Returns {"total", "matched", "offset", "tensors": […]}. Throws Error{malformed} for an unknown `sort`.
  std::string page(int64_t job, const TensorQuery& query) const;

 private:
  std::shared_ptr<Database> database_;
};

}  // namespace depickle::server::page
