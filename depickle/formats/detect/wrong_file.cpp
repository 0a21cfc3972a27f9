#include "depickle/formats/detect/wrong_file.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "depickle/base/text.h"

namespace depickle::detect {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kFetchAgain = "download the file again: the address or the login may be wrong";
constexpr std::string_view kUnpack = "unpack it first; an archive can hide a model from scanners";
constexpr std::string_view kConvert = "convert it with `depickle convert`";

struct Magic {
  std::string_view bytes;
  std::string_view what, hint;
};

constexpr std::array kMagics = {
    Magic{"PK\x03\x04"sv, "a zip archive, as torch.save writes it", kConvert},
    Magic{"PK\x05\x06"sv, "an empty zip archive", kFetchAgain},
    Magic{"\x80\x02"sv, "a pickle", kConvert},
    Magic{"\x80\x03"sv, "a pickle", kConvert},
    Magic{"\x80\x04"sv, "a pickle", kConvert},
    Magic{"\x80\x05"sv, "a pickle", kConvert},
    Magic{"\x1f\x8b"sv, "gzip-compressed", kUnpack},
    Magic{"7z\xbc\xaf\x27\x1c"sv, "a 7z archive", kUnpack},
    Magic{"\x28\xb5\x2f\xfd"sv, "zstd-compressed", kUnpack},
    Magic{"\xfd"
          "7zXZ\0"sv,
        "xz-compressed", kUnpack},
    Magic{"BZh"sv, "bzip2-compressed", kUnpack},
    Magic{"Rar!\x1a\x07"sv, "a rar archive", kUnpack},
    Magic{"GGUF"sv, "a GGUF file", "GGUF is llama.cpp's format and contains no pickle"},
    Magic{"\x93NUMPY"sv, "a NumPy array", "save a dict of arrays with safetensors.numpy.save_file"},
    Magic{"\x89HDF\r\n\x1a\n"sv, "an HDF5 file", "HDF5 files are Keras models or datasets"},
    Magic{"PYTORCH1"sv, "a file of the torch 1.0 preview, which no torch release reads",
        "save it again with the torch that wrote it"},
    Magic{"\x89PNG"sv, "a PNG image", kFetchAgain},
    Magic{"\x7f"
          "ELF"sv,
        "a program", ""},
};

// Returns the number after "size " in a git-LFS pointer, or nullopt.
std::optional<uint64_t> pointer_target_bytes(std::string_view pointer) {
  size_t at = pointer.find("\nsize ");
  uint64_t size_bytes = 0;
  if (at == pointer.npos ||
      std::from_chars(pointer.data() + at + 6, pointer.data() + pointer.size(), size_bytes).ec != std::errc{})
    return std::nullopt;
  return size_bytes;
}

bool is_web_page(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  std::string start(text.substr(0, 14));
  std::ranges::transform(
      start, start.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return start.starts_with("<!doctype html") || start.starts_with("<html") || start.starts_with("<head");
}

}  // namespace

std::optional<WrongFile> recognize(Bytes start, uint64_t file_bytes, std::string_view file) {
  std::string_view text = depickle::text(start);
  if (text.empty()) return WrongFile{"it is empty", std::string(kFetchAgain)};
  if (text.starts_with("version https://git-lfs.github.com/spec/")) {
    auto target_bytes = pointer_target_bytes(text);
    return WrongFile{fmt::format("a git-LFS pointer ({}){}", plural(file_bytes, "byte"),
                         target_bytes ? fmt::format(" to {} bytes", grouped(*target_bytes)) : ""),
        fmt::format("fetch the content first: git lfs pull --include {}", printable(file.substr(file.rfind('/') + 1)))};
  }
  if (is_web_page(text)) return WrongFile{"a web page", std::string(kFetchAgain)};
  if (text.starts_with("<?xml") || text.starts_with("<Error>"))
    return WrongFile{"an XML document, such as a storage server's error", std::string(kFetchAgain)};
  if (text.starts_with("Entry not found") || text.starts_with("Repository not found") ||
      text.starts_with("Invalid username or password") || text.starts_with("Access to model "))
    return WrongFile{fmt::format("the Hub's answer {}", quoted(text, 60)), std::string(kFetchAgain)};
  for (const Magic& magic : kMagics) {
    if (text.starts_with(magic.bytes)) return WrongFile{std::string(magic.what), std::string(magic.hint)};
  }
  return std::nullopt;
}

}  // namespace depickle::detect
