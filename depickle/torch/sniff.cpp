// What a file is, by its first bytes.
#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/pickle/parse.h"
#include "depickle/torch/contents.h"
#include "depickle/torch/table.h"

namespace depickle::torch {
namespace {

using namespace std::literals;

// A ustar header: the magic, and a checksum over the block with its own field as blanks.
bool is_tar(Bytes head) {
  if (head.size() < 512 || text(head.subspan(257, 5)) != "ustar") return false;
  unsigned sum = 0, stated = 0;
  for (size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? ' ' : std::to_integer<unsigned>(head[i]);
  std::string_view field = text(head.subspan(148, 8));
  field.remove_prefix(std::min(field.find_first_not_of(' '), field.size()));
  std::from_chars(field.data(), field.data() + field.size(), stated, 8);
  return sum == stated;
}

// Protocols 0 and 1 have no mark of their own; these bytes begin a container or a global.
bool may_be_old_pickle(std::string_view head) { return !head.empty() && "(c]}dlSVIL)"sv.find(head[0]) != std::string_view::npos; }

bool starts_as_safetensors(Bytes head) {
  if (head.size() < 9 || load<uint64_t>(head, 0) > 100'000'000) return false;
  std::string_view json = text(head.subspan(8));
  size_t begin = json.find_first_not_of(" \t\r\n");
  return begin != json.npos && json[begin] == '{';
}

bool is_html(std::string_view head) {
  size_t begin = head.find_first_not_of(" \t\r\n");
  if (begin == head.npos || head[begin] != '<') return false;
  std::string lower(head.substr(begin, 64));
  std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower.starts_with("<!doctype") || lower.starts_with("<html") || lower.starts_with("<head") || lower.starts_with("<!--") || lower.starts_with("<?xml");
}

// The size that a git-LFS pointer gives; 0 where it gives none.
uint64_t pointer_size(std::string_view pointer) {
  size_t at = pointer.find("\nsize ");
  uint64_t size = 0;
  if (at != pointer.npos) std::from_chars(pointer.data() + at + 6, pointer.data() + pointer.size(), size);
  return size;
}

struct Wrapper {
  std::string_view magic, what, hint;
};
constexpr Wrapper kWrappers[] = {
    {"7z\xbc\xaf\x27\x1c"sv, "a 7z archive", "unpack it first; a model wrapped so may be meant to pass by scanners"},
    {"Rar!"sv, "a RAR archive", "unpack it first"},
    {"\x1f\x8b"sv, "a gzip file", "unpack it first: gunzip"},
    {"\xfd\x37zXZ"sv, "an xz file", "unpack it first: unxz"},
    {"\x28\xb5\x2f\xfd"sv, "a zstd file", "unpack it first: unzstd"},
    {"BZh"sv, "a bzip2 file", "unpack it first: bunzip2"},
    {"PK\x05\x06"sv, "an empty zip archive", "the model is missing; fetch it again"},
    {"PYTORCH1"sv, "a file of torch 1.0's preview, which no torch reads", "save it again with the torch that wrote it"},
    {"\x93NUMPY"sv, "a NumPy array (.npy)", "it holds one array; save a dict of arrays with safetensors.numpy.save_file"},
    {"\x89HDF\r\n\x1a\n"sv, "an HDF5 file", "it is Keras's, or a dataset; depickle reads torch's formats"},
    {"GGUF"sv, "a GGUF file", "it is llama.cpp's format, and holds no pickle"},
    {"\x89PNG"sv, "a PNG picture", "fetch the model again"},
};

}  // namespace

Format sniff(Bytes head) noexcept {
  std::string_view first = text(head);
  if (first.starts_with("PK\x03\x04")) return Format::torch_zip;
  if (is_legacy_magic(head)) return Format::torch_legacy;
  if (is_tar(head)) return Format::torch_tar;
  if (first.size() >= 2 && first[0] == '\x80' && first[1] >= 0 && first[1] <= 5 && !starts_as_safetensors(head)) return Format::pickle;
  if (starts_as_safetensors(head)) return Format::safetensors;
  bool known = std::ranges::any_of(kWrappers, [&](const Wrapper& wrapper) { return first.starts_with(wrapper.magic); });
  if (!known && may_be_old_pickle(first)) return Format::pickle;
  return Format::something_else;
}

Error not_a_model(const ByteSource& source) {
  uint64_t size = source.size_bytes();
  Bytes bytes = source.view(0, std::min<uint64_t>(size, 1024));
  std::string_view head = text(bytes);
  Where where{.file = source.name(), .tensor = {}, .offset_bytes = {}};
  auto error = [&](std::string what, std::string hint) { return Error(Code::unsupported, "", "not a model file: " + what, where, std::move(hint)); };

  if (size == 0) return Error(Code::truncated, "", "the file is empty", where, "the download did not begin; fetch it again");
  if (head.starts_with("version https://git-lfs")) {
    uint64_t content = pointer_size(head);
    std::string to = content ? fmt::format(" to {} bytes", grouped(content)) : "";
    return error(fmt::format("a git-LFS pointer ({} bytes){}", size, to), fmt::format("fetch the content first: git lfs pull --include {}", printable(source.name())));
  }
  if (is_html(head)) return error("a web page saved under its name", "the address needs a login, or is a page about the file; download the file itself");
  for (const Wrapper& wrapper : kWrappers) {
    if (head.starts_with(wrapper.magic)) return error(std::string(wrapper.what), std::string(wrapper.hint));
  }
  if (starts_as_safetensors(bytes)) return error("it is safetensors already", "nothing needs to be done");
  if (head.starts_with("{") || head.starts_with("[")) return error("JSON text", "name the weights file, or the folder");
  return error("its first bytes belong to no format that depickle knows", "fetch it again, or see what it is with: file " + printable(source.name()));
}

}  // namespace depickle::torch
