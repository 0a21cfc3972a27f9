#include "server/hub/api/markdown.h"

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>
#include <time.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>

#include "server/hub/api/call.h"

namespace depickle::server::api {
namespace {

using Parser = std::unique_ptr<cmark_parser, decltype(&cmark_parser_free)>;
using Node = std::unique_ptr<cmark_node, decltype(&cmark_node_free)>;
using Iterator = std::unique_ptr<cmark_iter, decltype(&cmark_iter_free)>;

std::chrono::nanoseconds thread_time() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

/// Removes the first line from `text` and returns it with its line feed.
std::string_view take_line(std::string_view& text) {
  std::string_view line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
  text.remove_prefix(line.size());
  return line;
}

bool is_fence(std::string_view line) {
  return line.starts_with("---") && line.find_first_not_of(" \t\r\n", 3) == std::string_view::npos;
}

std::string_view without_front_matter(std::string_view text) {
  std::string_view rest = text;
  if (rest.empty() || !is_fence(take_line(rest))) return text;
  while (!rest.empty())
    if (is_fence(take_line(rest))) return rest;
  return text;
}

/// Cuts a text at a line, or inside a line between two characters.
std::string_view shortened(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t end = text.rfind('\n', max_bytes - 1);
  if (end != std::string_view::npos) return text.substr(0, end + 1);
  end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

size_t max_columns(std::string_view text) {
  size_t most = 0;
  while (!text.empty()) most = std::max(most, static_cast<size_t>(std::ranges::count(take_line(text), '|')));
  return most;
}

// cmark-gfm keeps the special characters of extensions in global variables while it parses.
std::mutex parser_mutex;

/// Returns the document, or nullptr if parsing would take too long.
Node parse(std::string_view text, const MarkdownBudget& budget, const MarkdownLimits& limits) {
  Node none(nullptr, cmark_node_free);
  if (static_cast<size_t>(std::ranges::count(text, '[')) > limits.brackets) return none;
  std::lock_guard lock(parser_mutex);
  static const bool registered = (cmark_gfm_core_extensions_ensure_registered(), true);
  Parser parser(cmark_parser_new(registered ? CMARK_OPT_VALIDATE_UTF8 : 0), cmark_parser_free);
  for (const char* name : {"strikethrough", "tasklist", "table"}) {
    if (std::string_view(name) == "table" && max_columns(text) > limits.columns) continue;
    cmark_parser_attach_syntax_extension(parser.get(), cmark_find_syntax_extension(name));
  }
  while (!text.empty()) {
    std::string_view line = take_line(text);
    cmark_parser_feed(parser.get(), line.data(), line.size());
    if (budget.is_used_up()) return none;
  }
  return Node(cmark_parser_finish(parser.get()), cmark_node_free);
}

/// Writes a tree until a limit is reached.
class TreeWriter {
 public:
  TreeWriter(JsonWriter& json, const MarkdownLimits& limits) : json_(json), limits_(limits) {}

  void write_children(cmark_node* parent, int depth) {
    json_.key("children").array();
    for (cmark_node* node = cmark_node_first_child(parent); node && !is_full(); node = cmark_node_next(node))
      write(node, depth);
    write_pending_text();
    json_.end();
  }
  bool is_truncated() const { return is_truncated_; }

 private:
  bool is_full() {
    if (nodes_ < limits_.nodes && output_bytes_ < limits_.output_bytes) return false;
    is_truncated_ = true;
    return true;
  }
  std::string_view counted(const char* text) {
    std::string_view view = text ? text : "";
    view = shortened(view, limits_.output_bytes - std::min(limits_.output_bytes, output_bytes_));
    output_bytes_ += view.size();
    return view;
  }
  JsonWriter& begin(std::string_view type) {
    write_pending_text();
    ++nodes_;
    return json_.object().key("type").value(type);
  }
  void write_text(std::string_view type, std::string_view text) { begin(type).key("text").value(text).end(); }
  /// cmark-gfm splits a text at each character that might be a mark. The parts are joined.
  void add_text(std::string_view text) { pending_text_ += text; }
  void write_pending_text() {
    if (pending_text_.empty()) return;
    const std::string text = std::move(pending_text_);
    pending_text_.clear();
    write_text("text", text);
  }
  void add_html(const char* literal) {
    std::string_view html = counted(literal);
    while (!html.empty()) {
      size_t comment = html.find("<!--");
      add_text(html.substr(0, comment));
      if (comment == std::string_view::npos) return;
      size_t end = html.find("-->", comment);
      if (end == std::string_view::npos) return;
      html.remove_prefix(end + 3);
    }
  }
  /// Adds the text of an element that is nested too deeply.
  void add_flat(cmark_node* node) {
    Iterator at(cmark_iter_new(node), cmark_iter_free);
    for (cmark_event_type event; (event = cmark_iter_next(at.get())) != CMARK_EVENT_DONE && !is_full();)
      if (event == CMARK_EVENT_ENTER)
        if (const char* literal = cmark_node_get_literal(cmark_iter_get_node(at.get()))) add_text(counted(literal));
  }
  void write_element(std::string_view type, cmark_node* node, int depth) {
    begin(type);
    write_children(node, depth + 1);
    json_.end();
  }
  void write(cmark_node* node, int depth);
  void write_list(cmark_node* node, int depth);
  void write_item(cmark_node* node, int depth);
  void write_link(std::string_view type, cmark_node* node, int depth);
  void write_extension(cmark_node* node, int depth);

  JsonWriter& json_;
  const MarkdownLimits& limits_;
  size_t nodes_ = 0, output_bytes_ = 0;
  bool is_truncated_ = false;
  std::string pending_text_;
};

void TreeWriter::write(cmark_node* node, int depth) {
  const cmark_node_type type = cmark_node_get_type(node);
  if (type == CMARK_NODE_TEXT) return add_text(counted(cmark_node_get_literal(node)));
  if (type == CMARK_NODE_SOFTBREAK || type == CMARK_NODE_LINEBREAK) return add_text("\n");
  if (type == CMARK_NODE_HTML_INLINE) return add_html(cmark_node_get_literal(node));
  if (type == CMARK_NODE_CODE) return write_text("code", counted(cmark_node_get_literal(node)));
  if (type == CMARK_NODE_CODE_BLOCK) return write_text("code_block", counted(cmark_node_get_literal(node)));
  if (depth >= limits_.depth) return add_flat(node);
  if (type == CMARK_NODE_HTML_BLOCK) {
    begin("paragraph").key("children").array();
    add_html(cmark_node_get_literal(node));
    while (pending_text_.ends_with('\n')) pending_text_.pop_back();
    write_pending_text();
    json_.end().end();
    return;
  }
  if (type == CMARK_NODE_THEMATIC_BREAK) return static_cast<void>(begin("thematic_break").end());
  if (type == CMARK_NODE_HEADING) {
    begin("heading").key("level").value(static_cast<uint64_t>(cmark_node_get_heading_level(node)));
    write_children(node, depth + 1);
    json_.end();
    return;
  }
  if (type == CMARK_NODE_LIST) return write_list(node, depth);
  if (type == CMARK_NODE_LINK) return write_link("link", node, depth);
  if (type == CMARK_NODE_IMAGE) return write_link("image", node, depth);
  if (type == CMARK_NODE_BLOCK_QUOTE) return write_element("block_quote", node, depth);
  if (type == CMARK_NODE_ITEM) return write_item(node, depth);
  if (type == CMARK_NODE_EMPH) return write_element("emphasis", node, depth);
  if (type == CMARK_NODE_STRONG) return write_element("strong", node, depth);
  write_extension(node, depth);
}

void TreeWriter::write_list(cmark_node* node, int depth) {
  begin("list").key("ordered").value(cmark_node_get_list_type(node) == CMARK_ORDERED_LIST);
  json_.key("start").value(static_cast<uint64_t>(std::max(0, cmark_node_get_list_start(node))));
  write_children(node, depth + 1);
  json_.end();
}

void TreeWriter::write_item(cmark_node* node, int depth) {
  begin("item");
  if (cmark_node_get_type_string(node) == std::string_view("tasklist"))
    json_.key("checked").value(cmark_gfm_extensions_get_tasklist_item_checked(node));
  write_children(node, depth + 1);
  json_.end();
}

void TreeWriter::write_link(std::string_view type, cmark_node* node, int depth) {
  begin(type).key("url").value(counted(cmark_node_get_url(node)));
  write_children(node, depth + 1);
  json_.end();
}

// The types of extensions are not constants, so their names are compared.
void TreeWriter::write_extension(cmark_node* node, int depth) {
  std::string_view name = cmark_node_get_type_string(node);
  if (name == "table_header") name = "table_row";
  const bool is_known = name == "table" || name == "table_row" || name == "table_cell" || name == "strikethrough";
  write_element(is_known ? name : "paragraph", node, depth);
}

// Texts are parsed one after the other, so more requests would only occupy workers.
constexpr int kMaxRequests = 4;

http::Response render(const Call& call) {
  std::shared_ptr<Hub> slot(&call.hub, [](Hub* hub) { --hub->active_markdown_requests; });
  if (call.hub.active_markdown_requests.fetch_add(1) >= kMaxRequests)
    throw http::Abort(error_response(503, "Busy", "too many texts at once").with("Retry-After", "1"), "busy");
  const MarkdownLimits limits;
  const MarkdownBudget budget(limits);
  const JsonValue texts = call.body()["texts"];
  if (!texts.is_array()) refuse(400, "BadRequest", "the body has no array \"texts\"");
  return json_response([&](JsonWriter& json) {
    json.object().key("documents").array();
    for (const JsonValue& text : texts.items()) {
      if (!text.text()) refuse(400, "BadRequest", "\"texts\" contains something other than a text");
      write_markdown(json, text.string(), budget, limits);
    }
    json.end().end();
  });
}

}  // namespace

MarkdownBudget::MarkdownBudget(const MarkdownLimits& limits) : deadline_(thread_time() + limits.cpu_time) {}
bool MarkdownBudget::is_used_up() const { return thread_time() > deadline_; }

void write_markdown(
    JsonWriter& json, std::string_view text, const MarkdownBudget& budget, const MarkdownLimits& limits) {
  const std::string_view body = without_front_matter(text);
  const std::string_view shown = shortened(body, limits.text_bytes);
  const bool is_shortened = shown.size() < body.size();
  json.object();
  if (const Node document = parse(shown, budget, limits)) {
    TreeWriter tree(json, limits);
    tree.write_children(document.get(), 0);
    json.key("truncated").value(is_shortened || tree.is_truncated()).key("plain").value(false).end();
    return;
  }
  json.key("children").array().object().key("type").value("code_block").key("text").value(shown).end().end();
  json.key("truncated").value(is_shortened).key("plain").value(true).end();
}

void add_markdown_routes(http::Router& router, Hub& hub) {
  constexpr uint64_t kMaxBodyBytes = 2 << 20;
  router.add_with_body("POST", "/api/markdown", body_endpoint(hub, needs_nothing, render, kMaxBodyBytes));
}

}  // namespace depickle::server::api
