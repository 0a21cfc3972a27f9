// The body of a commit, line by line as it comes: one JSON object a line, file contents in Base64 inside.
#pragma once

#include <optional>
#include <string>

#include "depickle/base/base64.h"
#include "depickle/base/bytes.h"
#include "server/base/json_body.h"
#include "server/hub/store/commit.h"
#include "server/hub/store/limits.h"

namespace depickle::server::api {

/// Holds lines without their contents in memory; a content goes to a Spool while it comes. Throws StoreError{malformed, too_large}.
class CommitBody {
 public:
  CommitBody(Spool spool, const Limits& limits) : spool_(std::move(spool)), limits_(limits) {}

  void take(Bytes block);
  /// The body is whole.
  CommitRequest finish();

 private:
  void take_text(std::string_view& text);
  void take_content(std::string_view& text);
  void end_line();
  void add_file(const JsonValue& value);
  void keep(std::string_view bytes);

  Spool spool_;
  const Limits& limits_;
  CommitRequest request_;
  bool has_header_ = false;
  uint64_t line_bytes_ = 0;  ///< of all lines, without their contents

  // The line under way, with an empty string where the content stood.
  std::string line_;
  // Where in it we are.
  bool in_string_ = false, escaped_ = false, in_content_ = false;
  int depth_ = 0;
  size_t string_start_ = 0;
  std::string last_string_;  ///< a key, where a colon follows
  bool after_colon_ = false;

  // Its content.
  std::optional<Spool> content_;
  Base64Decoder decoder_;
  std::string decoded_;
  std::string raw_;     ///< the first of it as it came, in case the encoding is not Base64
  bool base64_ = true;  ///< so far
  bool more_than_raw_ = false;
  uint64_t inline_bytes_ = 0;
};

}  // namespace depickle::server::api
