#include "cli/console.h"

#include <langinfo.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "cli/hint.h"
#include "depickle/base/json.h"
#include "depickle/base/text.h"

namespace depickle::cli {
namespace {

bool wants_color(int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return ::isatty(fd) && !(no_color && *no_color) && terminal && std::string_view(terminal) != "dumb";
}

bool locale_is_utf8() {
  std::setlocale(LC_CTYPE, "");
  std::string_view codeset = ::nl_langinfo(CODESET);
  return codeset == "UTF-8" || codeset == "utf8";
}

}  // namespace

Console::Console()
    : is_utf8_(locale_is_utf8()),
      stderr_is_terminal_(::isatty(STDERR_FILENO)),
      color_out_(wants_color(STDOUT_FILENO)),
      color_error_(wants_color(STDERR_FILENO)) {}

void Console::set_color(When when) {
  if (when != When::automatic) color_out_ = color_error_ = when == When::always;
}

std::string Console::paint(Color color, std::string_view text, bool wanted) {
  if (!wanted) return std::string(text);
  constexpr const char* kCodes[] = {"32", "31", "33", "2", "1"};
  return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<int>(color)], text);
}

std::string Console::in_locale(std::string_view text) const {
  std::string out;
  if (is_utf8_) return std::string(text);
  while (!text.empty()) {
    size_t length = std::max<size_t>(utf8_sequence(text), 1);
    std::string_view character = text.substr(0, length);
    if (character == "…") {
      out += "...";
    } else if (length == 1) {
      out += character;
    } else {
      for (char c : character) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
    text.remove_prefix(length);
  }
  return out;
}

void Console::out(std::string_view text) const {
  if (out_to_stderr_) return say(text);
  std::string shown = json_ ? std::string(text) : in_locale(text);
  if (std::fwrite(shown.data(), 1, shown.size(), stdout) != shown.size())
    throw system_error(errno, "cannot write", "stdout");
}

void Console::flush() const {
  if (std::fflush(stdout) != 0) throw system_error(errno, "cannot write", "stdout");
}

void Console::say(std::string_view text) const {
  if (quiet_) return;
  std::string shown = in_locale(text);
  std::fwrite(shown.data(), 1, shown.size(), stderr);
}

void Console::error(const Error& error) const { this->error(error.what(), hint(error)); }

void Console::error(std::string_view what, std::string_view hint) const {
  std::string text = fmt::format("{} {}\n", paint(Color::red, "error:", color_error_), what);
  if (!hint.empty()) text += fmt::format("{} {}\n", paint(Color::yellow, "hint:", color_error_), hint);
  std::string shown = in_locale(text);
  std::fwrite(shown.data(), 1, shown.size(), stderr);
}

std::string error_json(const Error& error) {
  std::string out;
  JsonWriter json(out);
  json.object()
      .key("schema")
      .value("depickle.error/1")
      .key("code")
      .value(name(error.code()))
      .key("rule")
      .value(error.rule());
  json.key("message")
      .value(error.message())
      .key("file")
      .value(error.where().file)
      .key("tensor")
      .value(error.where().tensor);
  json.key("offset");
  if (const std::optional<uint64_t>& offset_bytes = error.where().offset_bytes) {
    json.value(*offset_bytes);
  } else {
    json.null();
  }
  json.key("reason").value(name(error.reason()));
  json.key("errno");
  if (error.system_errno() != 0) {
    json.value(static_cast<uint64_t>(error.system_errno()));
  } else {
    json.null();
  }
  json.key("hint").value(hint(error)).key("general_hint").value(error.hint()).end();
  return out;
}

}  // namespace depickle::cli
