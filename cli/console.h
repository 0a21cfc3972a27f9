// The program's output: data to stdout, messages to stderr.
#pragma once

#include <string>
#include <string_view>

#include "depickle/base/error.h"

namespace depickle::cli {

enum class Color { green, red, yellow, dim, bold };

/// Writes text and colors as the terminal and the options allow. If the locale is not UTF-8, other characters than
/// ASCII are escaped, except in JSON.
class Console {
 public:
  enum class When { automatic, always, never };

  Console();
  void set_color(When when);
  void set_quiet(bool quiet) { quiet_ = quiet; }
  void set_json(bool json) { json_ = json; }
  /// Writes results to stderr, for commands that write a file to stdout.
  void set_out_to_stderr() {
    out_to_stderr_ = true;
    color_out_ = color_error_;
  }

  /// Writes a part of the result to stdout. Throws Error{io}.
  void out(std::string_view text) const;
  /// Writes a message to stderr, unless --quiet was given.
  void say(std::string_view text) const;
  /// Writes `error: …` and `hint: …` to stderr.
  void error(const Error& error) const;
  void error(std::string_view what, std::string_view hint) const;
  /// Flushes stdout. Throws Error{io}.
  void flush() const;

  /// Returns `text` in a color if stdout shows colors, else unchanged.
  std::string painted(Color color, std::string_view text) const { return paint(color, text, color_out_); }
  bool stderr_is_terminal() const noexcept { return stderr_is_terminal_; }
  bool quiet() const noexcept { return quiet_; }

 private:
  static std::string paint(Color color, std::string_view text, bool wanted);
  std::string in_locale(std::string_view text) const;

  bool is_utf8_;
  bool stderr_is_terminal_;
  bool color_out_;
  bool color_error_;
  bool quiet_ = false;
  bool json_ = false;
  bool out_to_stderr_ = false;
};

/// Returns the error as JSON, schema depickle.error/1.
std::string error_json(const Error& error);

}  // namespace depickle::cli
