#include "server/hub/api/commit_body.h"

#include <algorithm>

#include "server/hub/store/store_error.h"

namespace depickle::server::api {
namespace {

/// A line without its content: a path, a message. Escapes may make it six times as long as the text.
constexpr size_t kMaxLineBytes = 1 << 20;
/// Of one commit; 25,000 files with long names fit.
constexpr size_t kMaxLinesBytes = 16 << 20;
/// Text that comes with `"encoding": "utf-8"` is taken up to here; no client of today sends it.
constexpr size_t kMaxRawBytes = 1 << 20;

[[noreturn]] void malformed(std::string what) { throw StoreError(StoreReason::malformed, std::move(what)); }

std::string needed(const JsonValue& value, std::string_view key) {
  auto text = value[key].text();
  if (!text) malformed("a line of the commit has no text \"" + std::string(key) + "\"");
  return *text;
}

}  // namespace

void CommitBody::take(Bytes block) {
  std::string_view text(reinterpret_cast<const char*>(block.data()), block.size());
  while (!text.empty()) in_content_ ? take_content(text) : take_text(text);
}

/// Follows just enough of the JSON to know when the value of value.content begins; that it is JSON is checked with the whole line.
void CommitBody::take_text(std::string_view& text) {
  char c = text.front();
  text.remove_prefix(1);
  if (c == '\n') return end_line();
  line_.push_back(c);
  if (line_.size() > kMaxLineBytes || ++line_bytes_ > kMaxLinesBytes)
    throw StoreError(StoreReason::too_large, "the names and messages of the commit are too long");
  if (in_string_) {
    if (escaped_)
      escaped_ = false;
    else if (c == '\\')
      escaped_ = true;
    else if (c == '"') {
      in_string_ = false;
      last_string_ = line_.substr(string_start_, line_.size() - 1 - string_start_);
    }
    return;
  }
  if (c == '"') {
    if (after_colon_ && depth_ == 2 && last_string_ == "content") {
      if (content_) malformed("a line of the commit has two contents");
      content_.emplace(spool_.following());
      in_content_ = true;
    } else {
      in_string_ = true;
      string_start_ = line_.size();
    }
    after_colon_ = false;
    return;
  }
  if (c == '{' || c == '[') ++depth_;
  if (c == '}' || c == ']') --depth_;
  if (c == ':')
    after_colon_ = true;
  else if (c != ' ' && c != '\t')
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
  if (piece.find('\n') != std::string_view::npos) malformed("a line of the commit ends inside its content");
  size_t room = kMaxRawBytes - raw_.size();
  raw_.append(piece.substr(0, room));
  more_than_raw_ |= piece.size() > room;
  if (!base64_) return;
  decoded_.clear();
  base64_ = decoder_.put(piece, decoded_);
  if (!base64_ && more_than_raw_) malformed("a file of the commit is not Base64");
  keep(decoded_);
}

void CommitBody::keep(std::string_view bytes) {
  inline_bytes_ += bytes.size();
  if (inline_bytes_ > limits_.commit_inline_bytes)
    throw StoreError(StoreReason::too_large, "the files in one commit are too large together",
        "send large files through LFS, or in several commits");
  content_->append(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

void CommitBody::add_file(const JsonValue& value) {
  std::string path = needed(value, "path");
  if (!content_) malformed("a file of the commit has no content");
  std::string encoding = value["encoding"].text().value_or("utf-8");
  if (encoding == "base64") {
    if (!base64_ || !decoder_.is_complete()) malformed("a file of the commit is not Base64");
  } else if (encoding == "utf-8") {
    if (more_than_raw_)
      throw StoreError(StoreReason::too_large, "a file in plain text is too large", "send it in Base64");
    JsonValue text = parse_body("{\"content\":\"" + raw_ + "\"}");
    inline_bytes_ -= content_->size_bytes();
    content_.emplace(spool_.following());
    keep(needed(text, "content"));
  } else {
    malformed("a file of the commit has an unknown encoding");
  }
  request_.operations.push_back(AddFile{std::move(path), std::move(*content_)});
}

void CommitBody::end_line() {
  std::string line = std::move(line_);
  line_.clear();
  in_string_ = escaped_ = after_colon_ = false;
  depth_ = 0;
  last_string_.clear();
  if (line.find_first_not_of(" \t\r") != std::string::npos) {
    JsonValue object = parse_body(line);
    std::string key = needed(object, "key");
    const JsonValue value = object["value"];
    if (!value.exists()) malformed("a line of the commit has no value");
    if (!has_header_ && key != "header") malformed("the first line of a commit is its header");
    if (request_.operations.size() >= limits_.commit_operations)
      throw StoreError(StoreReason::too_large, "too many files in one commit");
    if (key == "header") {
      if (has_header_) malformed("a commit has one header");
      has_header_ = true;
      request_.title = value["summary"].string();
      request_.message = value["description"].string();
      request_.parent = value["parentCommit"].string();
    } else if (key == "file") {
      add_file(value);
    } else if (key == "lfsFile") {
      request_.operations.push_back(AddLfsFile{needed(value, "path"), needed(value, "oid"), value["size"].number()});
    } else if (key == "deletedFile") {
      request_.operations.push_back(DeleteFile{needed(value, "path")});
    } else if (key == "deletedFolder") {
      request_.operations.push_back(DeleteFolder{needed(value, "path")});
    } else if (key == "copyFile") {
      request_.operations.push_back(
          CopyFile{needed(value, "path"), needed(value, "srcPath"), value["srcRevision"].string()});
    } else {
      malformed("a line of the commit has an unknown key");
    }
  }
  content_.reset();
  decoder_ = {};
  raw_.clear();
  base64_ = true;
  more_than_raw_ = false;
}

CommitRequest CommitBody::finish() {
  if (in_content_) malformed("the commit ends inside a file's content");
  end_line();
  if (!has_header_) malformed("the commit has no header");
  return std::move(request_);
}

}  // namespace depickle::server::api
