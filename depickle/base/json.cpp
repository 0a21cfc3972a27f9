#include "depickle/base/json.h"

#include <cmath>

#include <fmt/format.h>

#include "depickle/base/text.h"

namespace depickle {
namespace {

// Returns the character's short escape, 'u' for \u00xx, or 0 if it is not escaped.
char escape_of(unsigned char c) {
  switch (c) {
    case '\b': return 'b';
    case '\t': return 't';
    case '\n': return 'n';
    case '\f': return 'f';
    case '\r': return 'r';
    case '"': return '"';
    case '\\': return '\\';
    default: return c < 0x20 ? 'u' : 0;
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view utf8) {
  out += '"';
  while (!utf8.empty()) {
    auto c = static_cast<unsigned char>(utf8[0]);
    size_t length = utf8_sequence(utf8);
    if (char escape = escape_of(c); escape == 'u') {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    } else if (escape != 0) {
      out += '\\';
      out += escape;
    } else if (length == 0) {
      out += "\xef\xbf\xbd";
    } else {
      out += utf8.substr(0, length);
    }
    utf8.remove_prefix(std::max<size_t>(length, 1));
  }
  out += '"';
}

void JsonWriter::break_line() {
  if (style_ == Style::compact) return;
  out_ += '\n';
  out_.append(2 * levels_.size(), ' ');
}

void JsonWriter::separate() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (levels_.empty()) return;
  Level& level = levels_.back();
  if (!level.empty) out_ += level.one_line && style_ == Style::pretty ? ", " : ",";
  level.empty = false;
  if (!level.one_line) break_line();
}

void JsonWriter::open(char open, char close, bool one_line) {
  separate();
  out_ += open;
  levels_.push_back({close, one_line});
}

JsonWriter& JsonWriter::object() { return open('{', '}', false), *this; }
JsonWriter& JsonWriter::array() { return open('[', ']', false), *this; }
JsonWriter& JsonWriter::inline_array() { return open('[', ']', true), *this; }

JsonWriter& JsonWriter::end() {
  Level level = levels_.back();
  levels_.pop_back();
  if (!level.empty && !level.one_line) break_line();
  out_ += level.close;
  if (levels_.empty() && style_ == Style::pretty) out_ += '\n';
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  append_json_string(out_, name);
  out_ += style_ == Style::pretty ? ": " : ":";
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) { return separate(), append_json_string(out_, text), *this; }
JsonWriter& JsonWriter::value(uint64_t number) {
  return separate(), fmt::format_to(std::back_inserter(out_), "{}", number), *this;
}
JsonWriter& JsonWriter::value(bool truth) { return separate(), out_ += truth ? "true" : "false", *this; }
JsonWriter& JsonWriter::null() { return separate(), out_ += "null", *this; }

JsonWriter& JsonWriter::value(double number) {
  if (!std::isfinite(number)) return null();
  return separate(), fmt::format_to(std::back_inserter(out_), "{}", number), *this;
}

}  // namespace depickle
