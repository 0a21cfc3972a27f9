#include "server/http/message.h"

#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include <fmt/format.h>

#include "server/http/target.h"

namespace depickle::server::http {
namespace {

const std::string kNothing;

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
  uint64_t first, last;  // both included
};

enum class Asked { whole, part, outside };

/// What `bytes=…` asks of `size` bytes. Text that is no single range asks for the whole.
Asked parse_range(std::string_view text, uint64_t size, Range& range) {
  if (!text.starts_with("bytes=")) return Asked::whole;
  text.remove_prefix(6);
  size_t dash = text.find('-');
  if (dash == std::string_view::npos) return Asked::whole;
  std::string_view from = text.substr(0, dash), to = text.substr(dash + 1);
  if (from.empty()) {
    auto last_bytes = number(to);
    if (!last_bytes) return Asked::whole;
    if (*last_bytes == 0 || size == 0) return Asked::outside;
    range = {size - std::min(size, *last_bytes), size - 1};
    return Asked::part;
  }
  auto first = number(from);
  auto last = to.empty() ? std::optional(UINT64_MAX) : number(to);
  if (!first || !last || *last < *first) return Asked::whole;
  if (*first >= size) return Asked::outside;
  range = {*first, std::min(*last, size - 1)};
  return Asked::part;
}

}  // namespace

const std::string* Fields::find(std::string_view name) const {
  for (const auto& [key, value] : fields_)
    if (same_name(key, name)) return &value;
  return nullptr;
}

std::string_view Request::raw_path() const { return std::string_view(target).substr(0, target.find('?')); }

std::string_view Request::raw_query() const {
  size_t mark = target.find('?');
  return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
}

const std::string& Request::captured(std::string_view name) const {
  for (const auto& [key, value] : captures)
    if (key == name) return value;
  return kNothing;
}

std::optional<std::string> Request::query(std::string_view name) const { return form_value(raw_query(), name); }

const std::string& Request::field(std::string_view name) const {
  const std::string* value = fields.find(name);
  return value ? *value : kNothing;
}

std::shared_ptr<const OpenFile> OpenFile::open(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status{};
  if (fd < 0) throw system_error(errno, "cannot open", path);
  if (::fstat(fd, &status) != 0) {
    int problem = errno;
    ::close(fd);
    throw system_error(problem, "cannot look at", path);
  }
  return std::shared_ptr<const OpenFile>(new OpenFile(fd, static_cast<uint64_t>(status.st_size)));
}

OpenFile::~OpenFile() { ::close(fd_); }

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

Response ranged(const Request& request, Response answer) {
  answer.with("Accept-Ranges", "bytes");
  auto* text = std::get_if<std::string>(&answer.body);
  auto* file = std::get_if<FileRange>(&answer.body);
  uint64_t size = text ? text->size() : file->length;
  const std::string& if_range = request.field("If-Range");
  const std::string* etag = answer.fields.find("ETag");
  bool may_cut = request.method == "GET" && (if_range.empty() || (etag && *etag == if_range));
  Range range{};
  Asked asked = may_cut ? parse_range(request.field("Range"), size, range) : Asked::whole;
  if (asked == Asked::outside) {
    answer.status = 416;
    answer.with("Content-Range", fmt::format("bytes */{}", size));
    answer.body = std::string();
  }
  if (asked == Asked::part) {
    uint64_t length = range.last - range.first + 1;
    answer.status = 206;
    answer.with("Content-Range", fmt::format("bytes {}-{}/{}", range.first, range.last, size));
    if (text) *text = text->substr(range.first, length);
    if (file) file->offset += range.first;
    if (file) file->length = length;
  }
  return answer;
}

}  // namespace depickle::server::http
