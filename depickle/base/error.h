// The library's exception.
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace depickle {

/// What the caller can do: fetch the file again, correct the address, reject the file, log in. `denied` is a server's
/// response; a local file that cannot be read is `io`.
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

/// Returns the code's name: "malformed".
std::string_view name(Code code) noexcept;

/// The exact failure, if a front end has a remedy of its own (an option, a button). The library does not name options
/// of a front end; the program, the page and the Python package derive their hints from the reason.
enum class Reason : uint8_t {
  unspecified,
  target_exists,      ///< the file to be written exists
  target_busy,        ///< another process is writing the target
  target_is_folder,   ///< the target is a folder, and a file is to be written
  target_is_source,   ///< source and target are the same file
  target_taken,       ///< two sources would become the same target
  no_space,           ///< the disk has too little free space
  checksum_mismatch,  ///< a storage does not have the checksum that the container records
  unsupported_dtype,  ///< safetensors has no equivalent of some tensors
  ambiguous_root,     ///< several parts of a checkpoint could be the model
  no_tensors,         ///< the chosen part contains no tensors, and others may
  unknown_format,     ///< the content belongs to no known format
  no_such_variant,    ///< the repository contains no weights of the requested variant
  only_pickle,        ///< the weights exist only as a pickle, and pickles are not allowed
  no_sandbox,         ///< the kernel does not provide what the sandbox needs
  folder_in_use,      ///< another server uses the data folder
  port_unavailable,   ///< the server cannot listen on the address
  time_limit,         ///< the job took longer than the server allows
  model_too_large,    ///< the model is larger than the server allows
  host_not_allowed,   ///< the request names a host that the server does not serve
  other_format,       ///< the content is of a known format that is not a model's: an image, a GGUF file
};

/// Returns the reason's name: "target_exists"; "" for unspecified.
std::string_view name(Reason reason) noexcept;
inline constexpr unsigned kReasons = 21;

/// Where the error is. Every part may be empty: the thrower fills in what it knows, callers add the rest.
struct Where {
  std::string file;
  std::string tensor;
  std::optional<uint64_t> offset_bytes;  ///< from the start of `file`

  static Where in(std::string file) { return {std::move(file), {}, {}}; }
  static Where of(std::string_view tensor) { return {{}, std::string(tensor), {}}; }
  static Where at(uint64_t offset_bytes) { return {{}, {}, offset_bytes}; }
};

/// The library's only exception besides std::bad_alloc. Text: `PLACE: [RULE] what is wrong (have X, need Y)`. Control
/// characters in file and tensor names are escaped, so the text is safe to print on a terminal.
class Error : public std::runtime_error {
 public:
  /// `rule` is the id of the broken format rule (docs/formats/), "" if no rule applies.
  Error(Code code, std::string_view rule, std::string what, Where where = {}, std::string hint = {});
  /// An error for which a front end has a remedy.
  Error(Code code, Reason reason, std::string what, Where where = {}, std::string hint = {});

  Code code() const noexcept { return code_; }
  Reason reason() const noexcept { return reason_; }
  const std::string& rule() const noexcept { return rule_; }
  /// The message without place and rule.
  const std::string& message() const noexcept { return message_; }
  const Where& where() const noexcept { return where_; }
  /// One action for the user, independent of the front end; may be empty.
  const std::string& hint() const noexcept { return hint_; }
  /// What the user can choose from: the paths of the parts for Reason::ambiguous_root; else empty.
  const std::vector<std::string>& choices() const noexcept { return choices_; }
  /// The errno of the failed system call; 0 if the error does not come from one.
  int system_errno() const noexcept { return system_errno_; }

  /// Returns the same error with the file's name, unless it already has one.
  Error in(std::string file) const;
  /// Returns the same error at another place.
  Error at(Where where) const;
  Error with_hint(std::string hint) const;
  Error with_reason(Reason reason) const;
  Error with_errno(int error_number) const;
  Error with_choices(std::vector<std::string> choices) const;

 private:
  Code code_;
  Reason reason_ = Reason::unspecified;
  int system_errno_ = 0;
  std::string rule_;
  std::string message_;
  Where where_;
  std::string hint_;
  std::vector<std::string> choices_;
};

/// Returns Error{not_found} or Error{io} for an errno: `what: No such file or directory`. `what` is the failed action:
/// "cannot open".
Error system_error(int error_number, std::string_view what, std::string file);

/// Throws Error{malformed}: a file breaks the format rule `rule`, at `offset_bytes` from its start if that is known.
[[noreturn]] void fail(std::string_view rule, std::string what);
[[noreturn]] void fail(std::string_view rule, std::string what, uint64_t offset_bytes);

}  // namespace depickle
