#include "depickle/formats/pickle/stream.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "depickle/base/error.h"

namespace depickle::pickle {
namespace {

Where at(uint64_t offset) { return Where::at(offset); }

void append_utf8(std::string& out, uint32_t code) {
  auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6), put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18), put(0x80 | (code >> 12 & 0x3f)), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
  }
}

// The number that the first `digits` hexadecimal digits of `text` spell.
uint32_t hexadecimal(std::string_view text, size_t digits) {
  uint32_t value = 0;
  bool enough = text.size() >= digits;
  if (enough) {
    auto [end, error] = std::from_chars(text.data(), text.data() + digits, value, 16);
    enough = error == std::errc() && end == text.data() + digits;
  }
  if (!enough) throw Error(Code::malformed, "PK05", fmt::format("an escape needs {} hexadecimal digits", digits));
  return value;
}

char simple_escape(char c) {
  switch (c) {
    case 'a': return '\a';
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    case '\\':
    case '\'':
    case '"': return c;
    default: return 0;
  }
}

}  // namespace

void Stream::too_short(uint64_t begin, uint64_t length) const {
  if (framed_ && length <= bytes_.size() - begin) {
    throw Error(Code::malformed, "PK03",
        fmt::format("an argument of {} bytes crosses the end of its frame (have {})", length, limit_ - begin),
        at(first_byte_ + begin), "Python versions read such a file differently; do not trust it");
  }
  throw Error(Code::truncated, "PK02",
      fmt::format("the pickle ends inside an argument (have {} bytes, need {})", bytes_.size() - begin, length),
      at(first_byte_ + begin));
}

uint8_t Stream::opcode() {
  if (position_ == limit_ && framed_) {
    framed_ = false;
    limit_ = bytes_.size();
  }
  if (position_ == bytes_.size()) throw Error(Code::truncated, "PK02", "the pickle ends without STOP", at(offset()));
  return static_cast<uint8_t>(bytes_[position_++]);
}

Bytes Stream::take(uint64_t length) {
  if (length > limit_ - position_) too_short(position_, length);
  Bytes taken = bytes_.subspan(position_, length);
  position_ += length;
  return taken;
}

std::string_view Stream::line(uint64_t max_bytes) {
  uint64_t searched_bytes = std::min(limit_ - position_, max_bytes + 1);
  std::string_view ahead = text(bytes_.subspan(position_, searched_bytes));
  size_t length = ahead.find('\n');
  if (length == std::string_view::npos) {
    // The caller's budget counts the bytes that were searched.
    uint64_t begin = std::exchange(position_, position_ + searched_bytes);
    if (position_ == limit_) too_short(begin, searched_bytes + 1);
    throw Error(Code::limit, "PK10", fmt::format("a line has more than {} bytes", max_bytes), at(first_byte_ + begin));
  }
  position_ += length + 1;
  return ahead.substr(0, length);
}

void Stream::frame(uint64_t length) {
  if (in_frame()) throw Error(Code::malformed, "PK03", "a frame begins inside another frame", at(offset()));
  if (length > bytes_.size() - position_) {
    throw Error(Code::truncated, "PK02",
        fmt::format("a frame is longer than the rest of the pickle (have {} bytes, need {})", bytes_.size() - position_,
            length),
        at(offset()));
  }
  framed_ = true;
  limit_ = position_ + length;
}

std::string decode_quoted(std::string_view line) {
  if (line.size() < 2 || line.front() != line.back() || (line.front() != '\'' && line.front() != '"'))
    throw Error(Code::malformed, "PK05", "the argument of STRING is not quoted");
  line = line.substr(1, line.size() - 2);
  std::string out;
  while (!line.empty()) {
    if (line[0] != '\\' || line.size() == 1) {
      out += line[0];
      line.remove_prefix(1);
    } else if (char c = simple_escape(line[1])) {
      out += c;
      line.remove_prefix(2);
    } else if (line[1] == 'x') {
      out += static_cast<char>(hexadecimal(line.substr(2), 2));
      line.remove_prefix(4);
    } else if (line[1] >= '0' && line[1] <= '7') {
      uint32_t value = 0;
      size_t digits = 0;
      while (digits < 3 && 1 + digits < line.size() && line[1 + digits] >= '0' && line[1 + digits] <= '7')
        value = value * 8 + static_cast<uint32_t>(line[1 + digits++] - '0');
      out += static_cast<char>(value);
      line.remove_prefix(1 + digits);
    } else {
      out += line.substr(0, 2);
      line.remove_prefix(2);
    }
  }
  return out;
}

std::string decode_raw_unicode_escape(std::string_view line) {
  std::string out;
  while (!line.empty()) {
    bool escape = line[0] == '\\' && line.size() > 1;
    if (escape && (line[1] == 'u' || line[1] == 'U')) {
      size_t digits = line[1] == 'u' ? 4 : 8;
      uint32_t code = hexadecimal(line.substr(2), digits);
      if (code > 0x10ffff) throw Error(Code::malformed, "PK05", "an escape is greater than U+10FFFF");
      append_utf8(out, code);
      line.remove_prefix(2 + digits);
      continue;
    }
    // A backslash and the next character are copied together: in \\u0041 the second backslash begins no escape.
    for (size_t i = 0; i < (escape ? 2u : 1u); ++i) append_utf8(out, static_cast<unsigned char>(line[i]));
    line.remove_prefix(escape ? 2 : 1);
  }
  return out;
}

}  // namespace depickle::pickle
