#include "server/page/tensors.h"

#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/json.h"
#include "server/base/database.h"

namespace depickle::server::page {
namespace {

constexpr uint64_t kMaxInteger = INT64_MAX;

int64_t elements(const TensorRow& row) {
  uint64_t product = 1;
  for (uint64_t size : row.shape)
    if (__builtin_mul_overflow(product, size, &product)) return INT64_MAX;
  return static_cast<int64_t>(std::min(product, kMaxInteger));
}

std::string shape_json(const TensorRow& row) {
  std::string out;
  JsonWriter json(out, JsonWriter::Style::compact);
  json.array();
  for (uint64_t size : row.shape) json.value(size);
  json.end();
  return out;
}

std::string_view column(std::string_view sort) {
  for (std::string_view known : {"position", "name", "dtype", "bytes", "verdict"})
    if (sort == known) return known;
  if (sort == "shape") return "elements";
  throw Error(Code::malformed, "", "unknown sort order", {}, "sort by position, name, dtype, shape, bytes or verdict");
}

}  // namespace

void Tensors::write(int64_t job, const std::vector<TensorRow>& rows) {
  std::string shape;
  database_->transaction([&] {
    database_->run("DELETE FROM tensors WHERE job = ?", {job});
    database_->run_each("INSERT INTO tensors VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows.size(), [&](size_t i) {
      const TensorRow& row = rows[i];
      shape = shape_json(row);
      return std::vector<Value>{job, static_cast<int64_t>(i), std::string_view(row.name), std::string_view(row.dtype),
          std::string_view(shape), elements(row), static_cast<int64_t>(std::min(row.bytes, kMaxInteger)),
          std::string_view(row.file), std::string_view(row.sha256), std::string_view(row.verdict),
          std::string_view(row.note)};
    });
  });
}

std::string Tensors::page(int64_t job, const TensorQuery& query) const {
  constexpr std::string_view kMatches =
      "job = ? AND (?2 = '' OR instr(lower(name), lower(?2)) OR instr(lower(dtype), lower(?2)))";
  const std::string_view filter = query.filter;
  const auto total = database_->number("SELECT count(*) FROM tensors WHERE job = ?", {job}).value_or(0);
  const auto matched =
      filter.empty() ? total
                     : database_->number(fmt::format("SELECT count(*) FROM tensors WHERE {}", kMatches), {job, filter})
                           .value_or(0);
  const std::string sql = fmt::format(
      "SELECT position, name, dtype, shape, bytes, file, sha256, verdict, note FROM tensors WHERE {} ORDER BY {} {}, "
      "position LIMIT ?3 OFFSET ?4",
      kMatches, column(query.sort), query.descending ? "DESC" : "ASC");
  std::string out;
  JsonWriter json(out, JsonWriter::Style::compact);
  json.object().key("total").value(static_cast<uint64_t>(total)).key("matched").value(static_cast<uint64_t>(matched));
  json.key("offset").value(query.offset).end();
  out.pop_back();
  out += ",\"tensors\":[";
  bool first = true;
  database_->each(
      sql, {job, filter, static_cast<int64_t>(query.limit), static_cast<int64_t>(query.offset)}, [&](const Row& row) {
        if (!first) out += ',';
        first = false;
        std::string one;
        JsonWriter tensor(one, JsonWriter::Style::compact);
        tensor.object().key("position").value(static_cast<uint64_t>(row.number(0))).key("name").value(row.text(1));
        tensor.key("dtype").value(row.text(2)).key("bytes").value(static_cast<uint64_t>(row.number(4)));
        tensor.key("file").value(row.text(5)).key("sha256").value(row.text(6)).key("verdict").value(row.text(7));
        tensor.key("note").value(row.text(8)).end();
        one.pop_back();
        out += one + ",\"shape\":" + row.text(3) + "}";
      });
  return out + "]}";
}

}  // namespace depickle::server::page
