// Parses the body of a commit (NDJSON: one JSON object per line, file contents in Base64) while it arrives.
#pragma once

#include <string>

#include "depickle/base/base64.h"
#include "depickle/base/bytes.h"
#include "server/base/json_body.h"
#include "server/hub/content/limits.h"
#include "server/hub/repos/commit.h"

namespace depickle::server::api {

/// Keeps the lines in memory without the file contents, which go to a Spool. Throws StoreError{malformed, too_large}.
class CommitBody {
 public:
  CommitBody(content::Spool spool, const StoreLimits& limits)
      : spool_(std::move(spool)),
        limits_(limits),
        content_(spool_.following()) {}

  void take(Bytes block);
  /// Returns the number of bytes in memory: the lines without the file contents.
  uint64_t memory_bytes() const noexcept { return line_bytes_ + raw_.size(); }
  /// Call it at the end of the body.
  repos::CommitRequest finish();

 private:
  void take_text(std::string_view& text);
  void take_content(std::string_view& text);
  void take_string_character(char c);
  void begin_string();
  void read_line(std::string_view line);
  void end_line();
  void add_operation(std::string_view key, const JsonValue& value);
  void add_file(const JsonValue& value);
  void append_content(std::string_view bytes);

  content::Spool spool_;
  const StoreLimits& limits_;
  repos::CommitRequest request_;
  bool has_header_ = false;
  uint64_t line_bytes_ = 0;  ///< of all lines, without their contents

  // The current line, with an empty string in place of the content.
  std::string line_;
  // The state of the scanner.
  bool in_string_ = false, escaped_ = false, in_content_ = false;
  int depth_ = 0;
  size_t string_start_ = 0;
  std::string last_string_;  ///< a key, if a colon follows
  bool after_colon_ = false;

  // The content of the current line.
  bool has_content_ = false;
  content::Spool content_;
  Base64Decoder decoder_;
  std::string decoded_;
  std::string raw_;        ///< the first kMaxRawBytes, undecoded, for an encoding other than Base64
  bool is_base64_ = true;  ///< no invalid character so far
  bool exceeds_raw_ = false;
  uint64_t inline_bytes_ = 0;
};

}  // namespace depickle::server::api
