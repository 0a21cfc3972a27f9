// What can go wrong, in one class.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace depickle {

/// What the caller does next decides the code: fetch again, fix the address, refuse the file, log in … (`denied` is a server's
/// word; a file that may not be read is `io`.)
enum class Code {
  io,
  not_found,
  malformed,
  truncated,
  unsupported,
  unsafe,
  limit,
  network,
  denied,
  integrity,
  cancelled
};

/// The code's own name: "malformed".
std::string_view name(Code code) noexcept;

/// Where something is wrong. Every part may be empty; the thrower fills in what it knows, callers add the rest.
struct Where {
  std::string file;
  std::string tensor;
  std::optional<uint64_t> offset_bytes;  ///< from the start of `file`

  static Where in(std::string file) { return {std::move(file), {}, {}}; }
  static Where of(std::string_view tensor) { return {{}, std::string(tensor), {}}; }
  static Where at(uint64_t offset_bytes) { return {{}, {}, offset_bytes}; }
};

/// The only exception of the library, std::bad_alloc aside. Text: `PLACE: [RULE] WHAT IS WRONG (have X, need Y)`.
/// File and tensor names are shown with control characters escaped, so the text is safe to print on a terminal.
class Error : public std::runtime_error {
 public:
  /// `rule` is the id of the broken format rule (docs/formats/), empty where no rule applies.
  Error(Code code, std::string_view rule, std::string what, Where where = {}, std::string hint = {});

  Code code() const noexcept { return code_; }
  const std::string& rule() const noexcept { return rule_; }
  /// What is wrong, without the place and the rule.
  const std::string& message() const noexcept { return message_; }
  const Where& where() const noexcept { return where_; }
  /// What a person can do about it, one sentence; empty where there is nothing.
  const std::string& hint() const noexcept { return hint_; }

  /// The same error, with the file it happened in. For the one function that knows the path; a file already named stays.
  Error in(std::string file) const;
  /// The same error, with what a person can do.
  Error with_hint(std::string hint) const;

 private:
  Code code_;
  std::string rule_;
  std::string message_;
  Where where_;
  std::string hint_;
};

/// Error{not_found} or {io} from errno: `what: strerror`. `what` says what was tried: "cannot open".
Error system_error(int error_number, std::string_view what, std::string file);

/// Throws Error{malformed}: a file breaks the format rule `rule`, at `offset_bytes` from its start if that is known.
[[noreturn]] void fail(std::string_view rule, std::string what);
[[noreturn]] void fail(std::string_view rule, std::string what, uint64_t offset_bytes);

}  // namespace depickle
