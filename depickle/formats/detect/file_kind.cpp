#include "depickle/formats/detect/file_kind.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "depickle/base/text.h"
#include "depickle/formats/detect/tar_header.h"

namespace depickle::detect {
namespace {

using namespace std::literals;

constexpr std::string_view kWhiteSpace = " \t\r\n";
constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;

struct Magic {
  std::string_view bytes;
  FileKind kind;
};

constexpr std::array kMagics = {
    Magic{"version https://git-lfs.github.com/spec/"sv, FileKind::lfs_pointer},
    Magic{"<?xml"sv, FileKind::xml},
    Magic{"<Error>"sv, FileKind::xml},
    Magic{"Entry not found"sv, FileKind::hub_error},
    Magic{"Repository not found"sv, FileKind::hub_error},
    Magic{"Invalid username or password"sv, FileKind::hub_error},
    Magic{"Access to model "sv, FileKind::hub_error},
    Magic{"PK\x05\x06"sv, FileKind::empty_zip},
    Magic{"\x1f\x8b"sv, FileKind::gzip},
    Magic{"7z\xbc\xaf\x27\x1c"sv, FileKind::seven_zip},
    Magic{"\x28\xb5\x2f\xfd"sv, FileKind::zstd},
    Magic{"\xfd"
          "7zXZ\0"sv,
        FileKind::xz},
    Magic{"BZh"sv, FileKind::bzip2},
    Magic{"Rar!\x1a\x07"sv, FileKind::rar},
    Magic{"GGUF"sv, FileKind::gguf},
    Magic{"\x93NUMPY"sv, FileKind::npy},
    Magic{"\x89HDF\r\n\x1a\n"sv, FileKind::hdf5},
    Magic{"PYTORCH1"sv, FileKind::torch_preview},
    Magic{"\x89PNG"sv, FileKind::png},
    Magic{"\x7f"
          "ELF"sv,
        FileKind::elf},
};

bool has_protocol(std::string_view head, char min, char max) {
  return head.size() >= 2 && head[0] == '\x80' && head[1] >= min && head[1] <= max;
}

// torch's magic number 0x1950a86a20f9469cfc6c, as each protocol writes it. Only these bytes: a pickle that computes the
// number is not a legacy file.
bool is_torch_legacy(std::string_view head) {
  constexpr std::string_view kNumber = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."sv;  // LONG1, STOP
  constexpr std::string_view kFrame = "\x95\x0d\0\0\0\0\0\0\0"sv;
  if (has_protocol(head, 2, 3)) return head.substr(2).starts_with(kNumber);
  if (has_protocol(head, 4, 5))
    return head.substr(2).starts_with(kFrame) && head.substr(2 + kFrame.size()).starts_with(kNumber);
  return head.starts_with("L119547037146038801333356L\n.");
}

// The first character that is not white space; '\0' if none follows.
char first_character(std::string_view text) {
  const size_t begin = text.find_first_not_of(kWhiteSpace);
  return begin == text.npos ? '\0' : text[begin];
}

bool is_safetensors(Bytes head) {
  return head.size() >= 9 && load<uint64_t>(head, 0) <= kMaxSafetensorsHeaderBytes &&
         first_character(text(head.subspan(8))) == '{';
}

bool is_web_page(std::string_view head) {
  head.remove_prefix(std::min(head.find_first_not_of(kWhiteSpace), head.size()));
  const std::string start = lower_case(head.substr(0, 14));
  return start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<head");
}

// An opcode that a pickle of protocol 0 or 1 can begin with, and the bytes that must follow it.
bool may_be_plain_pickle(std::string_view head) {
  if (head.size() < 2) return false;
  switch (head[0]) {
    case 'c': {
      const std::string_view module = head.substr(1, head.find('\n') - 1);
      return module.size() < head.size() - 1 && std::ranges::all_of(module, [](char c) { return c > ' ' && c < 0x7f; });
    }
    case 'S': return head[1] == '\'' || head[1] == '"';
    case 'I':
    case 'L': return head[1] == '-' || (head[1] >= '0' && head[1] <= '9');
    default: return "(]}V)"sv.find(head[0]) != std::string_view::npos;
  }
}

}  // namespace

// The formats that are read come first: a file that is one of them and begins with another magic number by chance is
// parsed, not refused.
FileKind file_kind(Bytes head) {
  head = head.first(std::min<size_t>(head.size(), kHeadBytes));
  const std::string_view start = text(head);
  if (start.empty()) return FileKind::empty;
  if (start.starts_with("PK\x03\x04")) return FileKind::zip;
  // torch.load tries every other file as a tar archive first.
  if (is_tar_header(head)) return FileKind::tar;
  if (is_torch_legacy(start)) return FileKind::torch_legacy;
  // A header of 128 or 640 bytes has a length that begins as a pickle does.
  if (is_safetensors(head)) return FileKind::safetensors;
  if (has_protocol(start, 0, 5)) return FileKind::pickle;
  if (is_web_page(start)) return FileKind::web_page;
  for (const Magic& magic : kMagics)
    if (start.starts_with(magic.bytes)) return magic.kind;
  if (may_be_plain_pickle(start)) return FileKind::plain_pickle;
  switch (first_character(start)) {
    case '{': return FileKind::json_object;
    case '[': return FileKind::json_array;
    default: return FileKind::unknown;
  }
}

bool begins_with_proto(Bytes bytes) noexcept { return has_protocol(text(bytes), 0, 5); }

FileKind file_kind(const ByteSource& file) { return file_kind(file.view(0, std::min(file.size_bytes(), kHeadBytes))); }

}  // namespace depickle::detect
