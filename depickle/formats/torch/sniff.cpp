// Recognizes a file by its first bytes.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/formats/detect/wrong_file.h"
#include "depickle/formats/pickle/parse.h"
#include "depickle/formats/torch/contents.h"
#include "depickle/formats/torch/table.h"

namespace depickle::torch {
namespace {

using namespace std::literals;

// A ustar header has a magic and a checksum of the block, for which the checksum field counts as blanks.
bool is_tar(Bytes head) {
  if (head.size() < 512 || text(head.subspan(257, 5)) != "ustar") return false;
  unsigned sum = 0, stated = 0;
  for (size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? ' ' : std::to_integer<unsigned>(head[i]);
  std::string_view field = text(head.subspan(148, 8));
  field.remove_prefix(std::min(field.find_first_not_of(' '), field.size()));
  std::from_chars(field.data(), field.data() + field.size(), stated, 8);
  return sum == stated;
}

// Protocols 0 and 1 have no magic. A pickle begins with one of these opcodes and its argument.
bool may_be_old_pickle(std::string_view head) {
  if (head.size() < 2) return false;
  switch (head[0]) {
    case 'c': {
      std::string_view module = head.substr(1, head.find('\n') - 1);
      return module.size() < head.size() - 1 && std::ranges::all_of(module, [](char c) { return c > ' ' && c < 0x7f; });
    }
    case 'S': return head[1] == '\'' || head[1] == '"';
    case 'I':
    case 'L': return head[1] == '-' || (head[1] >= '0' && head[1] <= '9');
    default: return "(]}V)"sv.find(head[0]) != std::string_view::npos;
  }
}

bool starts_as_safetensors(Bytes head) {
  if (head.size() < 9 || load<uint64_t>(head, 0) > 100'000'000) return false;
  std::string_view json = text(head.subspan(8));
  size_t begin = json.find_first_not_of(" \t\r\n");
  return begin != json.npos && json[begin] == '{';
}

}  // namespace

Format sniff(Bytes head) {
  std::string_view first = text(head);
  if (first.starts_with("PK\x03\x04")) return Format::torch_zip;
  if (is_legacy_magic(head)) return Format::torch_legacy;
  if (is_tar(head)) return Format::torch_tar;
  if (first.size() >= 2 && first[0] == '\x80' && first[1] >= 0 && first[1] <= 5 && !starts_as_safetensors(head))
    return Format::pickle;
  if (starts_as_safetensors(head)) return Format::safetensors;
  if (may_be_old_pickle(first) && !detect::recognize(head, head.size(), "")) return Format::pickle;
  return Format::other;
}

Error not_a_model(const ByteSource& source) {
  Bytes head = source.view(0, std::min<uint64_t>(source.size_bytes(), 1024));
  Where where = Where::in(source.name());
  if (head.empty()) return Error(Code::truncated, "", "the file is empty", where, "fetch it again");
  auto error = [&](std::string_view what, std::string hint) {
    return Error(Code::unsupported, "", fmt::format("not a model file: {}", what), where, std::move(hint));
  };
  if (auto wrong = detect::recognize(head, source.size_bytes(), source.name())) return error(wrong->what, wrong->hint);
  if (starts_as_safetensors(head)) return error("it is a safetensors file", "it needs no conversion");
  if (text(head).starts_with("{") || text(head).starts_with("["))
    return error("JSON text", "name the weights file, or the folder");
  return error("unknown format", "fetch it again, or identify it with: file " + printable(source.name()))
      .with_reason(Reason::unknown_format);
}

}  // namespace depickle::torch
