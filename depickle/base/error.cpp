#include "depickle/base/error.h"

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

#include "depickle/base/text.h"

namespace depickle {
namespace {

std::string text(std::string_view rule, std::string_view what, const Where& where) {
  std::string out;
  if (!where.file.empty()) out += printable(where.file) + ": ";
  if (!where.tensor.empty()) out += fmt::format("tensor {}: ", quoted(where.tensor));
  if (where.offset_bytes) out += fmt::format("at byte {}: ", *where.offset_bytes);
  if (!rule.empty()) out += fmt::format("[{}] ", rule);
  return out.append(what);
}

}  // namespace

std::string_view name(Code code) noexcept {
  switch (code) {
    case Code::io: return "io";
    case Code::not_found: return "not_found";
    case Code::malformed: return "malformed";
    case Code::truncated: return "truncated";
    case Code::unsupported: return "unsupported";
    case Code::unsafe: return "unsafe";
    case Code::limit: return "limit";
    case Code::network: return "network";
    case Code::denied: return "denied";
    case Code::integrity: return "integrity";
    case Code::cancelled: return "cancelled";
  }
  return "unknown";
}

std::string_view name(Reason reason) noexcept {
  constexpr std::string_view kNames[kReasons] = {"", "target_exists", "target_busy", "target_is_folder",
      "target_is_source", "target_taken", "no_space", "checksum_mismatch", "unsupported_dtype", "ambiguous_root",
      "no_tensors", "unknown_format", "no_such_variant", "only_pickle", "no_sandbox", "folder_in_use",
      "port_unavailable", "time_limit", "model_too_large", "host_not_allowed", "other_format"};
  const auto index = static_cast<unsigned>(reason);
  return index < kReasons ? kNames[index] : "";
}

Error::Error(Code code, std::string_view rule, std::string what, Where where, std::string hint)
    : std::runtime_error(text(rule, what, where)),
      code_(code),
      rule_(rule),
      message_(std::move(what)),
      where_(std::move(where)),
      hint_(std::move(hint)) {}

Error::Error(Code code, Reason reason, std::string what, Where where, std::string hint)
    : Error(code, std::string_view(), std::move(what), std::move(where), std::move(hint)) {
  reason_ = reason;
}

Error Error::in(std::string file) const {
  if (!where_.file.empty()) return *this;
  Where where = where_;
  where.file = std::move(file);
  return at(std::move(where));
}

Error Error::at(Where where) const {
  Error copy(code_, rule_, message_, std::move(where), hint_);
  copy.reason_ = reason_;
  copy.system_errno_ = system_errno_;
  copy.choices_ = choices_;
  return copy;
}

Error Error::with_hint(std::string hint) const {
  Error copy = *this;
  copy.hint_ = std::move(hint);
  return copy;
}

Error Error::with_reason(Reason reason) const {
  Error copy = *this;
  copy.reason_ = reason;
  return copy;
}

Error Error::with_choices(std::vector<std::string> choices) const {
  Error copy = *this;
  copy.choices_ = std::move(choices);
  return copy;
}

Error Error::with_errno(int error_number) const {
  Error copy = *this;
  copy.system_errno_ = error_number;
  return copy;
}

Error system_error(int error_number, std::string_view what, std::string file) {
  Code code = error_number == ENOENT || error_number == ENOTDIR ? Code::not_found : Code::io;
  std::string reason = std::generic_category().message(error_number);
  return Error(code, "", fmt::format("{}: {}", what, reason), Where::in(std::move(file))).with_errno(error_number);
}

void fail(std::string_view rule, std::string what) { throw Error(Code::malformed, rule, std::move(what)); }

void fail(std::string_view rule, std::string what, uint64_t offset_bytes) {
  throw Error(Code::malformed, rule, std::move(what), Where::at(offset_bytes));
}

}  // namespace depickle
