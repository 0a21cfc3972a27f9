#include "server/hub/api/commit_body.h"

#include <algorithm>

#include "server/hub/git/store_error.h"

namespace depickle::server::api {
namespace {

// One line without its content: a path, a message. Escapes make a text up to six times as long.
constexpr size_t kMaxLineBytes = 1 << 20;
// All lines of one commit; 25,000 files with long names fit.
constexpr size_t kMaxLinesBytes = 16 << 20;
// Content with `"encoding": "utf-8"`. Current clients do not send it.
constexpr size_t kMaxRawBytes = 1 << 20;

[[noreturn]] void malformed(std::string what) { throw StoreError(StoreReason::malformed, std::move(what)); }

std::string required(const JsonValue& value, std::string_view key) {
  auto text = value[key].text();
  if (!text) malformed("a line of the commit has no string \"" + std::string(key) + "\"");
  return *text;
}

}  // namespace

void CommitBody::take(Bytes block) {
  std::string_view text(reinterpret_cast<const char*>(block.data()), block.size());
  while (!text.empty()) in_content_ ? take_content(text) : take_text(text);
}

// Scans the JSON only to find the start of value.content. end_line() parses the whole line.
void CommitBody::take_text(std::string_view& text) {
  char c = text.front();
  text.remove_prefix(1);
  if (c == '\n') return end_line();
  line_.push_back(c);
  if (line_.size() > kMaxLineBytes || ++line_bytes_ > kMaxLinesBytes)
    throw StoreError(StoreReason::too_large,
        "the names and messages of the commit are too long (at most 1 MiB per line, 16 MiB in total)");
  if (in_string_) return take_string_character(c);
  if (c == '"') return begin_string();
  if (c == '{' || c == '[') ++depth_;
  if (c == '}' || c == ']') --depth_;
  if (c == ':')
    after_colon_ = true;
  else if (c != ' ' && c != '\t')
    after_colon_ = false;
}

void CommitBody::take_string_character(char c) {
  if (escaped_) {
    escaped_ = false;
  } else if (c == '\\') {
    escaped_ = true;
  } else if (c == '"') {
    in_string_ = false;
    last_string_ = line_.substr(string_start_, line_.size() - 1 - string_start_);
  }
}

void CommitBody::begin_string() {
  if (after_colon_ && depth_ == 2 && last_string_ == "content") {
    if (has_content_) malformed("a line of the commit has two contents");
    content_ = spool_.following();
    has_content_ = in_content_ = true;
  } else {
    in_string_ = true;
    string_start_ = line_.size();
  }
  after_colon_ = false;
}

void CommitBody::take_content(std::string_view& text) {
  size_t end = 0;
  if (escaped_) {
    end = 1;
    escaped_ = false;
  } else if (text.front() == '"') {
    text.remove_prefix(1);
    line_.push_back('"');
    in_content_ = false;
    return;
  } else if (text.front() == '\\') {
    end = 1;
    escaped_ = true;
  } else {
    end = std::min({text.find('"'), text.find('\\'), text.size()});
  }
  std::string_view piece = text.substr(0, end);
  text.remove_prefix(end);
  if (piece.find('\n') != std::string_view::npos) malformed("a line of the commit ends inside a file's content");
  size_t free_bytes = kMaxRawBytes - raw_.size();
  raw_.append(piece.substr(0, free_bytes));
  exceeds_raw_ |= piece.size() > free_bytes;
  if (!is_base64_) return;
  decoded_.clear();
  is_base64_ = decoder_.put(piece, decoded_);
  if (!is_base64_ && exceeds_raw_) malformed("a file of the commit is not Base64");
  append_content(decoded_);
}

void CommitBody::append_content(std::string_view bytes) {
  inline_bytes_ += bytes.size();
  if (inline_bytes_ > limits_.commit_inline_bytes)
    throw StoreError(StoreReason::too_large, "the files in the body of the commit are too large",
        "upload large files with git-lfs, or make several commits");
  content_.append(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

void CommitBody::add_file(const JsonValue& value) {
  std::string path = required(value, "path");
  if (!has_content_) malformed("a file of the commit has no content");
  std::string encoding = value["encoding"].text().value_or("utf-8");
  if (encoding == "base64") {
    if (!is_base64_ || !decoder_.is_complete()) malformed("a file of the commit is not Base64");
  } else if (encoding == "utf-8") {
    if (exceeds_raw_)
      throw StoreError(
          StoreReason::too_large, "a file in plain text is too large (at most 1 MiB)", "send it in Base64");
    JsonValue text = parse_body("{\"content\":\"" + raw_ + "\"}");
    inline_bytes_ -= content_.size_bytes();
    content_ = spool_.following();
    append_content(required(text, "content"));
  } else {
    malformed("a file of the commit has an unknown encoding");
  }
  request_.operations.push_back(repos::AddFile{std::move(path), std::move(content_)});
}

void CommitBody::add_operation(std::string_view key, const JsonValue& value) {
  if (request_.operations.size() >= limits_.commit_operations)
    throw StoreError(StoreReason::too_large, "too many files in one commit");
  if (key == "file") {
    add_file(value);
  } else if (key == "lfsFile") {
    request_.operations.push_back(
        repos::AddLfsFile{required(value, "path"), required(value, "oid"), value["size"].number()});
  } else if (key == "deletedFile") {
    request_.operations.push_back(repos::DeleteFile{required(value, "path")});
  } else if (key == "deletedFolder") {
    request_.operations.push_back(repos::DeleteFolder{required(value, "path")});
  } else if (key == "copyFile") {
    request_.operations.push_back(
        repos::CopyFile{required(value, "path"), required(value, "srcPath"), value["srcRevision"].string()});
  } else {
    malformed("a line of the commit has an unknown key");
  }
}

void CommitBody::read_line(std::string_view line) {
  JsonValue object = parse_body(line);
  std::string key = required(object, "key");
  const JsonValue value = object["value"];
  if (!value.exists()) malformed("a line of the commit has no value");
  if (!has_header_ && key != "header") malformed("the first line of the commit is not its header");
  if (key != "header") return add_operation(key, value);
  if (has_header_) malformed("the commit has two headers");
  has_header_ = true;
  request_.title = value["summary"].string();
  request_.message = value["description"].string();
  request_.parent = value["parentCommit"].string();
}

void CommitBody::end_line() {
  std::string line = std::move(line_);
  line_.clear();
  in_string_ = escaped_ = after_colon_ = false;
  depth_ = 0;
  last_string_.clear();
  if (line.find_first_not_of(" \t\r") != std::string::npos) read_line(line);
  has_content_ = false;
  decoder_ = {};
  raw_.clear();
  is_base64_ = true;
  exceeds_raw_ = false;
}

repos::CommitRequest CommitBody::finish() {
  if (in_content_) malformed("the commit ends inside a file's content");
  end_line();
  if (!has_header_) malformed("the commit has no header");
  return std::move(request_);
}

}  // namespace depickle::server::api
