// Markdown of READMEs and comments as a tree, which the page draws. Parsed by cmark-gfm.
#pragma once

#include <chrono>
#include <string_view>

#include "depickle/base/json.h"

namespace depickle::server::api {

struct MarkdownLimits {
  size_t text_bytes = 256 << 10;  ///< the rest of a longer text is omitted
  size_t nodes = 20'000;          ///< of the tree; the rest is omitted
  size_t output_bytes = 1 << 20;  ///< of texts and URLs in the tree; the rest is omitted
  int depth = 32;                 ///< of the tree; deeper elements become text
  /// cmark-gfm 0.29 takes quadratic time for some texts. A text that exceeds one of these limits is not parsed.
  size_t brackets = 5'000;                  ///< "[" in a text
  size_t columns = 100;                     ///< "|" in a line; with more, tables are not parsed
  std::chrono::milliseconds cpu_time{500};  ///< for the blocks of all texts that share a MarkdownBudget
};

/// The processor time that the texts of one request share.
class MarkdownBudget {
 public:
  explicit MarkdownBudget(const MarkdownLimits& limits);
  /// Returns whether this thread has used the time.
  bool is_used_up() const;

 private:
  std::chrono::nanoseconds deadline_;
};

/// Writes {"children": [node …], "truncated": bool, "plain": bool}. `plain` means that the text was not parsed; its
/// only child is a code block. Front matter and HTML comments are omitted; other HTML is text. A node is an object:
///
///   {"type": "text" | "code" | "code_block", "text"}
///   {"type": "paragraph" | "block_quote" | "item" | "emphasis" | "strong" | "strikethrough" | "table_row" |
///            "table_cell", "children"}; an item of a task list has "checked"
///   {"type": "heading", "level", "children"}, {"type": "list", "ordered", "start", "children"}
///   {"type": "table", "children": [row …]}, the first row is the header
///   {"type": "link" | "image", "url", "children"}, {"type": "thematic_break"}
///
/// URLs are not checked: only the page knows its origin.
void write_markdown(
    JsonWriter& json, std::string_view text, const MarkdownBudget& budget, const MarkdownLimits& limits = {});

}  // namespace depickle::server::api
