// Writes JSON; json_value.h reads it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace depickle {

/// Appends a JSON string, escaped as in the reference safetensors library: \b \t \n \f \r \" \\ as short escapes, other
/// control characters as \u00xx in lower case, everything else unescaped. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view utf8);

/// Writes one JSON document element by element, with indentation and commas.
///
///   JsonWriter json(out);
///   json.object().key("schema").value("depickle.inspect/1").key("tensors").array();
///   …
///   json.end().end();
class JsonWriter {
 public:
  enum class Style { pretty, compact };
  explicit JsonWriter(std::string& out, Style style = Style::pretty) : out_(out), style_(style) {}

  JsonWriter& object();
  JsonWriter& array();
  /// An array on one line, also in the pretty style.
  JsonWriter& inline_array();
  /// Closes the innermost object or array.
  JsonWriter& end();
  JsonWriter& key(std::string_view name);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(uint64_t number);
  JsonWriter& value(double number);
  JsonWriter& value(bool truth);
  JsonWriter& null();

 private:
  struct Level {
    char close;
    bool one_line;
    bool empty = true;
  };
  void open(char open, char close, bool one_line);
  void separate();
  void break_line();

  std::string& out_;
  Style style_;
  std::vector<Level> levels_;
  bool after_key_ = false;
};

}  // namespace depickle
