// Forged messages, generated from the message definitions: a new request, task or member of a result is covered without
// a new line here.
#pragma once

#include <array>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "depickle/sandbox/messages.h"

namespace depickle::sandbox::forge {

inline constexpr std::array<uint64_t, 12> kNumbers = {0, 1, 2, kMaxReadBytes, kMaxReadBytes + 1, uint64_t{1} << 31,
    uint64_t{1} << 32, (uint64_t{1} << 53) + 1, (uint64_t{1} << 63) - 1, uint64_t{1} << 63, UINT64_MAX - 7, UINT64_MAX};
inline constexpr uint64_t kMinAbsurd = uint64_t{1} << 53;

/// Messages that a worker sends on one channel, one after the other.
struct Requests {
  std::string description;
  std::vector<std::string> messages;
  bool is_absurd;  ///< whether the last message must not succeed
};

template <typename... Values>
std::string message(const Values&... values) {
  WireWriter wire;
  wire(values...);
  return wire.take();
}

template <Request request>
void add_requests(std::vector<Requests>& out) {
  const std::string name = "request " + std::to_string(static_cast<int>(request));
  const std::string valid = message(request, ArgumentsOf<request>{});
  [&]<size_t... argument>(std::index_sequence<argument...>) {
    [[maybe_unused]] auto forge_argument = [&](auto index) {
      for (uint64_t number : kNumbers) {
        ArgumentsOf<request> values{};
        std::get<index.value>(values) = number;
        out.push_back({name + " with argument " + std::to_string(index.value) + " = " + std::to_string(number),
            {message(request, values)}, number >= kMinAbsurd});
      }
    };
    (forge_argument(std::integral_constant<size_t, argument>{}), ...);
  }(std::make_index_sequence<std::tuple_size_v<ArgumentsOf<request>>>{});
  for (size_t length = 1; length < valid.size(); length += 3)
    out.push_back({name + " cut to " + std::to_string(length), {valid.substr(0, length)}, true});
  out.push_back({name + " with a trailing byte", {valid + '\0'}, true});
  out.push_back({name + " with a name", {message(request, std::string("/proc/self/mem"))}, true});
  out.push_back({name + " with a long name", {valid + std::string(1 << 20, '/')}, true});
}

/// Returns all forged requests, and all pairs of requests.
inline std::vector<Requests> requests() {
  std::vector<Requests> out;
  std::vector<std::string> valid;
  [&]<size_t... request>(std::index_sequence<request...>) {
    (add_requests<static_cast<Request>(request)>(out), ...);
    (valid.push_back(message(static_cast<Request>(request), ArgumentsOf<static_cast<Request>(request)>{})), ...);
  }(std::make_index_sequence<kEnumSize<Request>>{});
  for (size_t first = 0; first < valid.size(); ++first)
    for (size_t second = 0; second < valid.size(); ++second) {
      const auto last = static_cast<Request>(second);
      out.push_back({"requests " + std::to_string(first) + " and " + std::to_string(second),
          {valid[first], valid[second], valid[first], valid[second]},
          last == Request::target || last == Request::scratch});  // each is granted once
    }
  for (unsigned number = kEnumSize<Request>; number < 256; number += 50)
    out.push_back({"unknown request " + std::to_string(number), {message(static_cast<uint8_t>(number))}, true});
  out.push_back({"an empty message", {""}, true});
  return out;
}

/// A text that clears a terminal, reorders what follows and ends the line.
inline const std::string kHostileText = "\x1b[2J\x1b]0;owned\x07\xe2\x80\xae\xff\r\n";

/// Fills a value: hostile texts, the largest numbers, two elements in each list.
class Forger {
 public:
  template <typename... Values>
  void operator()(Values&&... values) {
    (fill(values), ...);
  }

 private:
  template <typename Value>
  void fill(Value& value) {
    if constexpr (std::is_same_v<Value, bool>) {
      value = true;
    } else if constexpr (std::is_arithmetic_v<Value>) {
      value = std::numeric_limits<Value>::max();
    } else if constexpr (std::is_enum_v<Value>) {
      value = static_cast<Value>(kEnumSize<Value> - 1);
    } else {
      fields(*this, value);
    }
  }
  template <typename Value>
  void fill(Exact<Value>& exact) {
    fill(exact.value);
  }
  void fill(std::string& text) { text = kHostileText; }
  void fill(std::filesystem::path& path) { path = "/etc/passwd"; }
  template <typename Value>
  void fill(std::optional<Value>& value) {
    fill(value.emplace());
  }
  void fill(std::optional<Error>& error) {
    error.emplace(
        Code::cancelled, kHostileText, kHostileText, Where{kHostileText, kHostileText, UINT64_MAX}, kHostileText);
  }
  template <typename First, typename Second>
  void fill(std::pair<First, Second>& pair) {
    (*this)(pair.first, pair.second);
  }
  template <typename Value>
  void fill(std::vector<Value>& values) {
    values.resize(2);
    for (Value& value : values) fill(value);
  }
};

/// Visits a decoded value. Collects the texts that are not exact.
class TextCollector {
 public:
  template <typename... Values>
  void operator()(Values&&... values) {
    (visit(values), ...);
  }
  std::vector<std::string> texts;

 private:
  template <typename Value>
  void visit(Value& value) {
    if constexpr (!std::is_arithmetic_v<Value> && !std::is_enum_v<Value>) fields(*this, value);
  }
  template <typename Value>
  void visit(Exact<Value>&) {}
  void visit(std::string& text) { texts.push_back(text); }
  void visit(std::filesystem::path&) {}
  template <typename Value>
  void visit(std::optional<Value>& value) {
    if (value) visit(*value);
  }
  void visit(std::optional<Error>& error) {
    if (error) texts.insert(texts.end(), {error->what(), error->message(), error->rule(), error->hint()});
  }
  template <typename First, typename Second>
  void visit(std::pair<First, Second>& pair) {
    (*this)(pair.first, pair.second);
  }
  template <typename Value>
  void visit(std::vector<Value>& values) {
    for (Value& value : values) visit(value);
  }
};

}  // namespace depickle::sandbox::forge
