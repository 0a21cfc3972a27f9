// The parts of tensor names that keys give.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/formats/pickle/describe.h"
#include "depickle/formats/torch/globals.h"
#include "depickle/formats/torch/tree.h"

namespace depickle::torch {
namespace {

using pickle::Graph;
using pickle::Handle;
using pickle::NodeKind;

// More than the 4096 bytes of any name (TF02), so that a longer key is an error, and not a shorter name.
constexpr size_t kMaxShownBytes = 5000;
constexpr int kMaxTupleDepth = 16;

// Decodes a Python 2 str as UTF-8 or else as Latin-1, as Python 3 does with encoding="latin1".
std::string utf8_of(std::string_view text) {
  if (is_utf8(text)) return std::string(text);
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xc0 | byte >> 6);
      out += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return out;
}

// Python's repr(): the shortest decimal number, with a point or an exponent.
std::string real_text(double value) {
  std::string text = fmt::format("{}", value);
  return std::isfinite(value) && text.find_first_of(".e") == text.npos ? text + ".0" : text;
}

// Converts the bytes of LONG1 or LONG4, or the digits of LONG, to decimal. Longer numbers are hexadecimal.
std::string big_integer_text(const Graph& graph, Handle handle) {
  constexpr size_t kMaxConvertedBytes = 64;
  std::string_view source = text(*graph.bytes(handle));
  if (graph.made_by(handle) != pickle::Op::LONG1 && graph.made_by(handle) != pickle::Op::LONG4)
    return std::string(source.substr(0, std::min(source.find_first_of("L\n"), kMaxShownBytes)));
  std::string little_endian(source.substr(0, kMaxShownBytes));
  const bool is_negative = !little_endian.empty() && (static_cast<unsigned char>(little_endian.back()) & 0x80);
  unsigned carry = 1;
  for (char& c : little_endian) {
    if (!is_negative) break;
    const unsigned byte = (~static_cast<unsigned>(static_cast<unsigned char>(c)) & 0xff) + carry;
    c = static_cast<char>(byte);
    carry = byte >> 8;
  }
  std::string digits;
  if (source.size() > kMaxConvertedBytes) {
    for (char c : little_endian) digits += fmt::format("{:02x}", static_cast<unsigned char>(c));
    return (is_negative ? "-0x" : "0x") + digits;
  }
  while (!little_endian.empty()) {
    unsigned rest = 0;
    for (size_t i = little_endian.size(); i-- > 0;) {
      rest = rest * 256 + static_cast<unsigned char>(little_endian[i]);
      little_endian[i] = static_cast<char>(rest / 10);
      rest %= 10;
    }
    digits += static_cast<char>('0' + rest);
    while (!little_endian.empty() && little_endian.back() == 0) little_endian.pop_back();
  }
  std::ranges::reverse(digits);
  return (is_negative ? "-" : "") + digits;
}

void append_bytes(std::string& out, std::string_view bytes) {
  for (char c : bytes.substr(0, kMaxShownBytes)) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
}

// Returns the characters of `_codecs.encode(text, "latin1")`, which protocols 0 to 2 write for bytes, as bytes; nullopt
// for other objects.
std::optional<std::string> encoded_bytes(const Graph& graph, const pickle::Object& object) {
  const pickle::Global* global = graph.global(object.callable);
  if (!global) return std::nullopt;
  const std::span<const Handle> args = graph.children(object.args);
  const bool is_bytes = global->name == "bytes" && (global->module == "__builtin__" || global->module == "builtins");
  if (is_bytes && args.empty()) return std::string();
  const auto encoded = args.size() == 2 ? graph.text(args[0]) : std::nullopt;
  if (!encoded || find_builder(*global) != BuilderFunction::codecs_encode || graph.text(args[1]) != "latin1")
    return std::nullopt;
  std::string out;
  for (size_t i = 0; i < encoded->size() && out.size() < kMaxShownBytes; ++i) {
    const auto lead = static_cast<unsigned char>((*encoded)[i]);
    if (lead < 0x80) {
      out += static_cast<char>(lead);
    } else if ((lead == 0xc2 || lead == 0xc3) && i + 1 < encoded->size()) {
      out += static_cast<char>((lead & 3) << 6 | (static_cast<unsigned char>((*encoded)[++i]) & 0x3f));
    } else {
      return std::nullopt;
    }
  }
  return out;
}

void append_key(const Graph& graph, Handle key, std::string& out, int depth);

void append_tuple(const Graph& graph, Handle key, std::string& out, int depth) {
  const std::span<const Handle> items = graph.children(key);
  if (items.empty()) out += "()";
  for (size_t i = 0; i < items.size() && out.size() < kMaxShownBytes; ++i) {
    if (i > 0) out += '.';
    append_key(graph, items[i], out, depth + 1);
  }
}

void append_key(const Graph& graph, Handle key, std::string& out, int depth) {
  switch (graph.kind(key)) {
    case NodeKind::text: out += utf8_of(*graph.text(key)); return;
    case NodeKind::none: out += "None"; return;
    case NodeKind::boolean: out += graph.integer(key) == 1 ? "True" : "False"; return;
    case NodeKind::integer: out += fmt::format("{}", *graph.integer(key)); return;
    case NodeKind::big_integer: out += big_integer_text(graph, key); return;
    case NodeKind::real: out += real_text(*graph.real(key)); return;
    case NodeKind::bytes: append_bytes(out, text(*graph.bytes(key))); return;
    case NodeKind::global: out += dotted(*graph.global(key)); return;
    case NodeKind::tuple:
      if (depth < kMaxTupleDepth) return append_tuple(graph, key, out, depth);
      break;
    case NodeKind::object:
      if (auto encoded = encoded_bytes(graph, *graph.object(key))) return append_bytes(out, *encoded);
      out += call_text(graph, key, 1);
      return;
    default: break;
  }
  out += describe(graph, key);
}

}  // namespace

std::string Tree::key_text(Handle key) const {
  std::string out;
  append_key(graph_, key, out, 0);
  return out;
}

std::string Tree::spelled_key(Handle key) const {
  std::string shown = printable(key_text(key), 80);
  switch (graph_.kind(key)) {
    case NodeKind::text: return quoted(*graph_.text(key), 80) + " (str)";
    case NodeKind::boolean: return shown + " (bool)";
    case NodeKind::integer:
    case NodeKind::big_integer: return shown + " (int)";
    case NodeKind::real: return shown + " (float)";
    case NodeKind::none: return shown;
    case NodeKind::bytes: return "b\"" + shown + "\" (bytes)";
    case NodeKind::tuple: return shown + " (tuple)";
    case NodeKind::object:
      return encoded_bytes(graph_, *graph_.object(key)) ? "b\"" + shown + "\" (bytes)" : shown + " (object)";
    default: return shown;
  }
}

}  // namespace depickle::torch
