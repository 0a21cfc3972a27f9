// Where the program talks: data on stdout, everything else on stderr.
#pragma once

#include <string>
#include <string_view>

#include "depickle/base/error.h"

namespace depickle::cli {

enum class Colour { green, red, yellow, dim, bold };

/// Knows the terminal and the user's wishes. Text that is not ASCII is spelled in ASCII where the locale is not UTF-8; JSON, which is UTF-8
/// everywhere, is not.
class Console {
 public:
  enum class When { automatic, always, never };

  Console();
  void set_colour(When when);
  void set_quiet(bool quiet) { quiet_ = quiet; }
  void set_json(bool json) { json_ = json; }

  /// A piece of the answer, to stdout. Throws Error{io} where stdout cannot take it.
  void out(std::string_view text) const;
  /// Talk, to stderr; nothing with --quiet.
  void say(std::string_view text) const;
  /// `error: …` and `hint: …`, to stderr.
  void error(const Error& error) const;
  void error(std::string_view what, std::string_view hint) const;
  /// Ends the answer: what stdout has not taken by now is an error.
  void flush() const;

  /// `text` in a colour, where stdout shows colours.
  std::string painted(Colour colour, std::string_view text) const { return paint(colour, text, colour_out_); }
  bool stderr_is_terminal() const noexcept { return stderr_is_terminal_; }
  bool quiet() const noexcept { return quiet_; }

 private:
  static std::string paint(Colour colour, std::string_view text, bool wanted);
  std::string spelled(std::string_view text) const;

  bool utf8_;
  bool stderr_is_terminal_;
  bool colour_out_;
  bool colour_error_;
  bool quiet_ = false;
  bool json_ = false;
};

/// The error as the one JSON object that --json promises: schema depickle.error/1.
std::string error_json(const Error& error);

}  // namespace depickle::cli
