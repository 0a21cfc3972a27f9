#include "python/src/slice_index.h"

#include <algorithm>
#include <optional>
#include <string>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "python/src/errors.h"

namespace depickle::python {
namespace {

using safetensors::Ellipsis;
using safetensors::IndexItem;
using safetensors::Range;

bool is_sequence_of_items(nb::handle index) { return nb::isinstance<nb::tuple>(index); }

std::vector<nb::object> parts(nb::handle index) {
  std::vector<nb::object> result;
  if (!is_sequence_of_items(index)) return {nb::borrow(index)};
  for (nb::handle part : nb::borrow<nb::tuple>(index)) result.push_back(nb::borrow(part));
  return result;
}

// Accepts numpy's integers. Returns nullopt if `part` is not an integer (arrays raise TypeError) or exceeds 64 bits.
std::optional<int64_t> integer(nb::handle part) {
  if (!PyIndex_Check(part.ptr())) return std::nullopt;
  nb::object number = nb::steal(PyNumber_Index(part.ptr()));
  if (!number.is_valid()) {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw nb::python_error();
    PyErr_Clear();
    return std::nullopt;
  }
  int overflow = 0;
  const int64_t value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  return overflow ? std::nullopt : std::optional(value);
}

std::optional<int64_t> bound(nb::handle value) {
  if (value.is_none()) return std::nullopt;
  std::optional<int64_t> number = integer(value);
  if (!number) raise(PyExc_TypeError, "slice indices must be integers or None or have an __index__ method");
  return number;
}

bool is_list(nb::handle part) { return nb::isinstance<nb::list>(part); }
bool is_empty_list(nb::handle part) { return is_list(part) && nb::len(part) == 0; }
// Booleans add dimensions, like masks.
bool is_array(nb::handle part) {
  if (PyBool_Check(part.ptr())) return true;
  return nb::hasattr(part, "shape") && !nb::isinstance<nb::slice>(part) && !integer(part);
}

IndexItem item(nb::handle part, size_t position) {
  if (part.ptr() == Py_Ellipsis) return Ellipsis{};
  if (nb::isinstance<nb::slice>(part)) {
    Range range{bound(part.attr("start")), bound(part.attr("stop")), bound(part.attr("step")).value_or(1)};
    if (range.step == 0) raise_safetensor_error("Slice step must be a positive integer, got 0");
    return range;
  }
  if (auto number = integer(part)) return *number;
  raise_safetensor_error(
      fmt::format("Unsupported slice index at position {}: expected slice, int, or ellipsis", position));
}

std::string text(const IndexItem& item) {
  if (const auto* number = std::get_if<int64_t>(&item)) return fmt::format("{}", *number);
  const auto* range = std::get_if<Range>(&item);
  if (!range) return "...";
  auto bound = [](std::optional<int64_t> value) { return value ? fmt::format("{}", *value) : std::string(); };
  std::string result = bound(range->start) + ":" + bound(range->stop);
  return range->step == 1 ? result : fmt::format("{}:{}", result, range->step);
}

[[noreturn]] void raise_slicing(
    std::span<const IndexItem> items, std::span<const uint64_t> shape, std::string_view what) {
  std::vector<std::string> texts;
  for (const IndexItem& item : items) texts.push_back(text(item));
  raise_safetensor_error(fmt::format(
      "Error during slicing [{}] with shape [{}]: {}", fmt::join(texts, ", "), fmt::join(shape, ", "), what));
}

// Checks each item against its dimension.
class Check {
 public:
  Check(std::span<const IndexItem> items, std::span<const uint64_t> shape) : items_(items), shape_(shape) {}

  void run(Bounds bounds) const {
    size_t ellipses = 0;
    for (const IndexItem& item : items_) ellipses += std::holds_alternative<Ellipsis>(item);
    if (ellipses > 1) raise_safetensor_error("Only one ellipsis (...) is allowed in slice index");
    if (items_.size() - ellipses > shape_.size())
      raise_slicing(items_, shape_, "more slicing indexes than dimensions in tensor");
    size_t dimension = 0;
    for (const IndexItem& item : items_) {
      if (std::holds_alternative<Ellipsis>(item)) {
        dimension += shape_.size() - (items_.size() - 1);
      } else {
        if (const auto* number = std::get_if<int64_t>(&item)) check(*number, shape_[dimension], dimension);
        if (const auto* range = std::get_if<Range>(&item); range && bounds == Bounds::checked) check(*range, dimension);
        ++dimension;
      }
    }
  }

 private:
  // `limit` is the first invalid index.
  void check(int64_t index, uint64_t limit, size_t dimension, int64_t shown_offset = 0) const {
    const uint64_t size = shape_[dimension];
    if (index < 0 && -static_cast<uint64_t>(index) > size)
      raise_safetensor_error(fmt::format("Invalid index {} for dimension {} of size {}", index, dimension, size));
    if (index >= 0 && static_cast<uint64_t>(index) >= limit)
      raise_slicing(items_, shape_,
          fmt::format(
              "index {} out of bounds for tensor dimension #{} of size {}", index - shown_offset, dimension, size));
  }
  void check(const Range& range, size_t dimension) const {
    const uint64_t limit = shape_[dimension] + 1;
    if (range.start) check(*range.start, limit, dimension);
    if (range.stop) check(*range.stop, limit, dimension, 1);
  }

  std::span<const IndexItem> items_;
  std::span<const uint64_t> shape_;
};

}  // namespace

SliceIndex SliceIndex::of(nb::handle index, std::span<const uint64_t> shape, Bounds bounds) {
  SliceIndex result;
  if (is_empty_list(index)) {
    result.items_ = {Range{0, 0}};
  } else if (is_list(index)) {
    raise_safetensor_error("Non empty lists are not implemented");
  } else {
    std::vector<nb::object> all = parts(index);
    std::vector<bool> is_new;
    for (size_t i = 0; i < all.size(); ++i) {
      is_new.push_back(all[i].is_none());
      if (!is_new[i]) result.items_.push_back(item(all[i], i));
    }
    Check(result.items_, shape).run(bounds);
    size_t axis = 0, next = 0;
    for (bool none : is_new) {
      if (none) {
        result.new_axes_.push_back(axis++);
        continue;
      }
      const IndexItem& item = result.items_[next++];
      if (std::holds_alternative<Ellipsis>(item)) axis += shape.size() - (result.items_.size() - 1);
      if (std::holds_alternative<Range>(item)) ++axis;
    }
    return result;
  }
  Check(result.items_, shape).run(bounds);
  return result;
}

std::vector<uint64_t> SliceIndex::shape(std::span<const uint64_t> taken) const {
  std::vector<uint64_t> result(taken.begin(), taken.end());
  for (size_t axis : new_axes_) result.insert(result.begin() + static_cast<ptrdiff_t>(axis), 1);
  return result;
}

bool SliceIndex::is_element(size_t rank) const noexcept {
  auto is_integer = [](const IndexItem& item) { return std::holds_alternative<int64_t>(item); };
  return items_.size() == rank && new_axes_.empty() && std::ranges::all_of(items_, is_integer);
}

bool is_advanced(nb::handle index) {
  for (const nb::object& part : parts(index))
    if (is_array(part)) return true;
  return false;
}

bool steps_back(nb::handle index) {
  for (const nb::object& part : parts(index)) {
    if (!nb::isinstance<nb::slice>(part)) continue;
    if (auto step = integer(part.attr("step")); step && *step < 0) return true;
  }
  return false;
}

}  // namespace depickle::python
