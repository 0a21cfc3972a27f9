// Encodes values as bytes and decodes them, between two processes of the same program. Decoding checks every value,
// because a worker may send anything.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "depickle/base/error.h"

namespace depickle::sandbox {

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
  template <typename Value>
  void put(const std::vector<Value>& values) {
    put(uint64_t{values.size()});
    for (const Value& value : values) put(value);
  }
  void put(const Error& error) {
    (*this)(error.code(), error.reason(), error.system_errno(), error.rule(), error.message(), error.where().file,
        error.where().tensor, error.where().offset_bytes, error.hint());
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

class WireReader {
 public:
  explicit WireReader(std::string_view in) : in_(in) {}

  /// Throws Error{malformed} if the bytes are not valid values of these types.
  template <typename... Values>
  void operator()(Values&... values) {
    (get(values), ...);
  }
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
    (*this)(rule, message, where.file, where.tensor, where.offset_bytes, hint);
    return Error(code, rule, std::move(message), std::move(where), std::move(hint))
        .with_reason(reason)
        .with_errno(system_errno);
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
  void get(std::string& text) { text = take(value<uint64_t>()); }
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
};

}  // namespace depickle::sandbox
