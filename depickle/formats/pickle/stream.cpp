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

void Stream::diverge(Error error) const {
  if (!divergence_) throw error;
  if (!*divergence_) *divergence_ = std::move(error);
}

void Stream::leave_frame() noexcept {
  framed_ = false;
  limit_ = bytes_.size();
}

void Stream::extend(uint64_t begin, uint64_t length) {
  if (!framed_ || length > bytes_.size() - begin) {
    throw Error(Code::truncated, "PK02",
        fmt::format("the pickle ends inside an argument (have {} bytes, need {})", bytes_.size() - begin, length),
        at(first_byte_ + begin));
  }
  diverge(Error(Code::malformed, "PK03",
      fmt::format("an argument of {} bytes crosses the end of its frame (have {})", length, limit_ - begin),
      at(first_byte_ + begin), "Python versions read such a file differently; do not trust it"));
  leave_frame();
}

uint8_t Stream::opcode() {
  if (position_ == limit_ && framed_) leave_frame();
  if (position_ == bytes_.size()) throw Error(Code::truncated, "PK02", "the pickle ends without STOP", at(offset()));
  return static_cast<uint8_t>(bytes_[position_++]);
}

Bytes Stream::take(uint64_t length) {
  if (length > limit_ - position_) extend(position_, length);
  Bytes taken = bytes_.subspan(position_, length);
  position_ += length;
  return taken;
}

std::string_view Stream::line(uint64_t max_bytes) {
  const uint64_t begin = position_;
  while (true) {
    uint64_t searched_bytes = std::min(limit_ - begin, max_bytes + 1);
    std::string_view ahead = text(bytes_.subspan(begin, searched_bytes));
    if (size_t length = ahead.find('\n'); length != std::string_view::npos) {
      position_ = begin + length + 1;
      return ahead.substr(0, length);
    }
    position_ = begin + searched_bytes;  // the caller's budget counts the bytes that were searched
    if (position_ != limit_)
      throw Error(
          Code::limit, "PK10", fmt::format("a line has more than {} bytes", max_bytes), at(first_byte_ + begin));
    extend(begin, searched_bytes + 1);
  }
}

std::string_view Stream::number_line(uint64_t max_bytes) {
  const uint64_t begin = offset();
  const std::string_view whole = line(max_bytes), number = whole.substr(0, whole.find('\0'));
  if (number.size() < whole.size())
    diverge(Error(Code::malformed, "PK05", "a NUL byte follows the digits of a number", at(begin),
        "Python versions read such a file differently; do not trust it"));
  return number;
}

void Stream::frame(uint64_t length) {
  const uint64_t rest = bytes_.size() - position_;
  if (in_frame()) {
    diverge(Error(Code::malformed, "PK03", "a frame begins inside another frame", at(offset())));
    leave_frame();
  } else if (length > rest) {
    diverge(Error(Code::truncated, "PK02",
        fmt::format("a frame is longer than the rest of the pickle (have {} bytes, need {})", rest, length),
        at(offset())));
  } else {
    framed_ = true;
    limit_ = position_ + length;
  }
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
