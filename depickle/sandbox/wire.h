// Encodes values as bytes and decodes them, between two processes of the same program. Decoding checks every value,
// because a worker may send anything. Texts are escaped as they are decoded, so that they are safe to print.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "depickle/base/error.h"
#include "depickle/base/text.h"

namespace depickle::sandbox {

/// A member of a struct whose texts are decoded byte for byte: names from files. Who shows such a name escapes it,
/// because a name from a file may contain anything in the first place.
template <typename Value>
struct Exact {
  Value& value;
};
template <typename Value>
Exact<Value> exact(Value& value) {
  return {value};
}

/// A struct is encoded member by member. Its namespace defines, for both directions,
/// `template <class Wire> void fields(Wire& wire, X& x) { wire(x.a, x.b); }`.
class WireWriter {
 public:
  template <typename... Values>
  void operator()(const Values&... values) {
    (put(values), ...);
  }
  std::string take() { return std::move(out_); }

 private:
  template <typename Value>
  void put(const Value& value) {
    if constexpr (std::is_arithmetic_v<Value> || std::is_enum_v<Value>) {
      out_.append(reinterpret_cast<const char*>(&value), sizeof value);
    } else {
      fields(*this, const_cast<Value&>(value));  // fields() only reads it
    }
  }
  template <typename Value>
  void put(const Exact<Value>& exact) {
    put(exact.value);
  }
  void put(std::string_view text) {
    put(uint64_t{text.size()});
    out_.append(text);
  }
  void put(const std::string& text) { put(std::string_view(text)); }
  void put(const std::filesystem::path& path) { put(std::string_view(path.native())); }
  template <typename Value>
  void put(const std::optional<Value>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <typename First, typename Second>
  void put(const std::pair<First, Second>& pair) {
    (*this)(pair.first, pair.second);
  }
  template <typename... Values>
  void put(const std::tuple<Values...>& values) {
    std::apply([this](const Values&... each) { (put(each), ...); }, values);
  }
  template <typename Value>
  void put(const std::vector<Value>& values) {
    put(uint64_t{values.size()});
    for (const Value& value : values) put(value);
  }
  void put(const Error& error) {
    (*this)(error.code(), error.reason(), error.system_errno(), error.rule(), error.message(), error.where().file,
        error.where().tensor, error.where().offset_bytes, error.hint(), error.choices());
  }

  std::string out_;
};

/// The number of values of an enum; larger numbers are refused. Specialized in messages.h.
template <typename Enum>
inline constexpr unsigned kEnumSize = 0;
template <>
inline constexpr unsigned kEnumSize<Code> = 11;
template <>
inline constexpr unsigned kEnumSize<Reason> = kReasons;

/// Who wrote the bytes. Texts of a worker are escaped, except Exact ones.
enum class Sender { worker, parent };

class WireReader {
 public:
  explicit WireReader(std::string_view in, Sender sender = Sender::worker)
      : in_(in),
        is_exact_(sender == Sender::parent) {}

  /// Throws Error{malformed} if the bytes are not valid values of these types.
  template <typename... Values>
  void operator()(Values&&... values) {
    (get(values), ...);
  }
  /// Returns the value that ends the message. Throws Error{malformed} also if bytes follow it.
  template <typename Value>
  Value last() {
    Value value{};
    get(value);
    if (!in_.empty()) fail();
    return value;
  }
  bool is_at_end() const noexcept { return in_.empty(); }
  template <typename Value>
  Value value() {
    Value value{};
    get(value);
    return value;
  }
  Error error() {
    const Code code = value<Code>();
    const Reason reason = value<Reason>();
    const int system_errno = value<int>();
    std::string rule, message, hint;
    Where where;
    std::vector<std::string> choices;
    (*this)(rule, message, exact(where.file), exact(where.tensor), where.offset_bytes, hint, exact(choices));
    return Error(code, rule, std::move(message), std::move(where), std::move(hint))
        .with_reason(reason)
        .with_errno(system_errno)
        .with_choices(std::move(choices));
  }

 private:
  [[noreturn]] static void fail() { throw Error(Code::malformed, "", "the sandboxed process sent an invalid message"); }
  std::string_view take(uint64_t length) {
    if (length > in_.size()) fail();
    std::string_view front = in_.substr(0, length);
    in_.remove_prefix(length);
    return front;
  }
  template <typename Value>
  void get(Value& value) {
    if constexpr (std::is_same_v<Value, bool>) {
      value = take(1)[0] != 0;
    } else if constexpr (std::is_arithmetic_v<Value>) {
      std::memcpy(&value, take(sizeof value).data(), sizeof value);
    } else if constexpr (std::is_enum_v<Value>) {
      static_assert(kEnumSize<Value> > 0, "specialize kEnumSize in messages.h");
      std::underlying_type_t<Value> number;
      std::memcpy(&number, take(sizeof number).data(), sizeof number);
      if (number < 0 || static_cast<unsigned>(number) >= kEnumSize<Value>) fail();
      value = static_cast<Value>(number);
    } else {
      fields(*this, value);
    }
  }
  void get(std::string& text) {
    text = take(value<uint64_t>());
    const bool is_ascii = std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
    if (!is_exact_ && !is_ascii) text = printable(text, SIZE_MAX);  // slow: a million digests are ASCII
  }
  template <typename Value>
  void get(Exact<Value>& exact) {
    const bool was_exact = std::exchange(is_exact_, true);
    get(exact.value);
    is_exact_ = was_exact;
  }
  template <typename... Values>
  void get(std::tuple<Values...>& values) {
    std::apply([this](Values&... each) { (get(each), ...); }, values);
  }
  void get(std::filesystem::path& path) { path = std::string(take(value<uint64_t>())); }
  template <typename Value>
  void get(std::optional<Value>& out) {
    out.reset();
    if (value<bool>()) out = value<Value>();
  }
  void get(std::optional<Error>& out) {
    out.reset();
    if (value<bool>()) out = error();
  }
  template <typename First, typename Second>
  void get(std::pair<First, Second>& pair) {
    (*this)(pair.first, pair.second);
  }
  template <typename Value>
  void get(std::vector<Value>& values) {
    const uint64_t count = value<uint64_t>();
    if (count > in_.size()) fail();  // each value takes at least one byte
    values.clear();
    for (uint64_t i = 0; i < count; ++i) values.push_back(value<Value>());
  }

  std::string_view in_;
  bool is_exact_;
};

}  // namespace depickle::sandbox
