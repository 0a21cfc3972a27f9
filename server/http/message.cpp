#include "server/http/message.h"

#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>

#include "depickle/os/open_beneath.h"

#include "server/http/target.h"

namespace depickle::server::http {
namespace {

const std::string kEmpty;

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

struct Range {
  uint64_t first, last;  // inclusive
};

enum class RangeKind { whole, part, unsatisfiable };

/// Parses `bytes=…` for a body of `size` bytes. Returns `whole` for any other text, and for several ranges.
RangeKind parse_range(std::string_view text, uint64_t size, Range& range) {
  if (!text.starts_with("bytes=")) return RangeKind::whole;
  text.remove_prefix(6);
  size_t dash = text.find('-');
  if (dash == std::string_view::npos) return RangeKind::whole;
  std::string_view from = text.substr(0, dash), to = text.substr(dash + 1);
  if (from.empty()) {
    auto last_bytes = number(to);
    if (!last_bytes) return RangeKind::whole;
    if (*last_bytes == 0 || size == 0) return RangeKind::unsatisfiable;
    range = {size - std::min(size, *last_bytes), size - 1};
    return RangeKind::part;
  }
  auto first = number(from);
  auto last = to.empty() ? std::optional(UINT64_MAX) : number(to);
  if (!first || !last || *last < *first) return RangeKind::whole;
  if (*first >= size) return RangeKind::unsatisfiable;
  range = {*first, std::min(*last, size - 1)};
  return RangeKind::part;
}

}  // namespace

const std::string* Fields::find(std::string_view name) const {
  for (const auto& [key, value] : fields_)
    if (same_name(key, name)) return &value;
  return nullptr;
}

void Request::check_client() const {
  if (is_abandoned && is_abandoned()) throw Abort(respond(499, ""), "the client has closed the connection");
}

std::string_view Request::raw_path() const { return std::string_view(target).substr(0, target.find('?')); }

std::string_view Request::raw_query() const {
  size_t mark = target.find('?');
  return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
}

const std::string& Request::captured(std::string_view name) const {
  for (const auto& [key, value] : captures)
    if (key == name) return value;
  return kEmpty;
}

std::optional<std::string> Request::query(std::string_view name) const { return form_value(raw_query(), name); }

const std::string& Request::field(std::string_view name) const {
  const std::string* value = fields.find(name);
  return value ? *value : kEmpty;
}

std::shared_ptr<const OpenFile> OpenFile::open(const std::string& path) {
  os::FileDescriptor file = os::open_file(path, O_RDONLY);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) throw system_error(errno, "cannot stat", path);
  return std::shared_ptr<const OpenFile>(new OpenFile(std::move(file), static_cast<uint64_t>(status.st_size)));
}

std::shared_ptr<const OpenFile> OpenFile::open_beneath(const std::string& folder, const std::string& path) {
  const os::FileDescriptor parent = os::open_file(folder, O_PATH | O_DIRECTORY);
  os::FileDescriptor file = os::open_beneath(parent.get(), path, O_RDONLY | O_NONBLOCK, path);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) throw system_error(errno, "cannot stat", path);
  if (!S_ISREG(status.st_mode)) throw Error(Code::not_found, "", "not a regular file", Where::in(path));
  return std::shared_ptr<const OpenFile>(new OpenFile(std::move(file), static_cast<uint64_t>(status.st_size)));
}

Response respond(int status, std::string body, std::string content_type) {
  Response response;
  response.status = status;
  response.fields.add("Content-Type", std::move(content_type));
  response.body = std::move(body);
  return response;
}

Abort::Abort(Response response, std::string what)
    : Error(Code::denied, "", std::move(what)),
      response_(std::move(response)) {}

Response ranged(const Request& request, Response response) {
  response.with("Accept-Ranges", "bytes");
  auto* text = std::get_if<std::string>(&response.body);
  auto* file = std::get_if<FileRange>(&response.body);
  uint64_t size = text ? text->size() : file->length;
  const std::string& if_range = request.field("If-Range");
  const std::string* etag = response.fields.find("ETag");
  bool is_range_valid = request.method == "GET" && (if_range.empty() || (etag && *etag == if_range));
  Range range{};
  RangeKind kind = is_range_valid ? parse_range(request.field("Range"), size, range) : RangeKind::whole;
  if (kind == RangeKind::unsatisfiable) {
    response.status = 416;
    response.with("Content-Range", fmt::format("bytes */{}", size));
    response.body = std::string();
  }
  if (kind == RangeKind::part) {
    uint64_t length = range.last - range.first + 1;
    response.status = 206;
    response.with("Content-Range", fmt::format("bytes {}-{}/{}", range.first, range.last, size));
    if (text) *text = text->substr(range.first, length);
    if (file) file->offset += range.first;
    if (file) file->length = length;
  }
  return response;
}

}  // namespace depickle::server::http
