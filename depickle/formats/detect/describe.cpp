#include "depickle/formats/detect/describe.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include <fmt/format.h>

#include "depickle/base/text.h"
#include "depickle/formats/detect/file_kind.h"
#include "depickle/formats/detect/file_name.h"

namespace depickle::detect {
namespace {

constexpr const char* kDownload = "download the file again; check the address and the login";
constexpr const char* kUnpack = "unpack it first; compression can hide a pickle from scanners";
constexpr const char* kConvert = "`depickle convert` converts it to safetensors";

// The number after "size " in a git-LFS pointer; nullopt if it has none.
std::optional<uint64_t> pointer_target_bytes(std::string_view pointer) {
  constexpr std::string_view kSize = "\nsize ";
  const size_t at = pointer.find(kSize);
  uint64_t size_bytes = 0;
  if (at == pointer.npos ||
      std::from_chars(pointer.data() + at + kSize.size(), pointer.data() + pointer.size(), size_bytes).ec !=
          std::errc{})
    return std::nullopt;
  return size_bytes;
}

Description describe_pointer(const ByteSource& file, std::string_view head) {
  const auto target_bytes = pointer_target_bytes(head);
  return {fmt::format("a git-LFS pointer ({}){}", plural(file.size_bytes(), "byte"),
              target_bytes ? fmt::format(" to {} bytes", grouped(*target_bytes)) : ""),
      fmt::format("fetch the content first: git lfs pull --include {}", printable(last_part(file.name())))};
}

// Returns whether the file is complete and of another kind. The others are downloads that failed, archives that may
// contain a model, or pickles.
bool is_other_format(FileKind kind) {
  switch (kind) {
    case FileKind::json_object:
    case FileKind::json_array:
    case FileKind::gguf:
    case FileKind::npy:
    case FileKind::hdf5:
    case FileKind::png:
    case FileKind::elf: return true;
    default: return false;
  }
}

}  // namespace

std::optional<Description> describe(const ByteSource& file) {
  const Bytes head = file.view(0, std::min(file.size_bytes(), kHeadBytes));
  switch (file_kind(head)) {
    case FileKind::unknown:
    case FileKind::safetensors:
    case FileKind::plain_pickle:
    case FileKind::json_object:
    case FileKind::json_array: return std::nullopt;
    case FileKind::pickle:
      // \x80 and \0 also begin the length of a safetensors header of 128 bytes. No writer states protocol 0 or 1.
      if (head[1] < std::byte{2}) return std::nullopt;
      return Description{"a pickle", kConvert};
    case FileKind::empty: return Description{"an empty file", kDownload};
    case FileKind::zip: return Description{"a zip archive, as torch.save writes it", kConvert};
    case FileKind::torch_legacy: return Description{"a pickle, as torch.save wrote it before torch 1.6", kConvert};
    case FileKind::tar: return Description{"a tar archive", kUnpack};
    case FileKind::lfs_pointer: return describe_pointer(file, text(head));
    case FileKind::web_page: return Description{"a web page", kDownload};
    case FileKind::xml: return Description{"an XML document, such as the error of a storage server", kDownload};
    case FileKind::hub_error:
      return Description{fmt::format("the Hub's error message {}", quoted(text(head), 60)), kDownload};
    case FileKind::empty_zip: return Description{"an empty zip archive", kDownload};
    case FileKind::gzip: return Description{"gzip-compressed data", kUnpack};
    case FileKind::seven_zip: return Description{"a 7z archive", kUnpack};
    case FileKind::zstd: return Description{"zstd-compressed data", kUnpack};
    case FileKind::xz: return Description{"xz-compressed data", kUnpack};
    case FileKind::bzip2: return Description{"bzip2-compressed data", kUnpack};
    case FileKind::rar: return Description{"a rar archive", kUnpack};
    case FileKind::gguf: return Description{"a GGUF file", "GGUF is the format of llama.cpp and contains no pickle"};
    case FileKind::npy: return Description{"a NumPy array", "save a dict of arrays with safetensors.numpy.save_file"};
    case FileKind::hdf5: return Description{"an HDF5 file", "HDF5 is used by Keras and for data sets"};
    case FileKind::torch_preview:
      return Description{"a file of the torch 1.0 preview, which no torch release reads",
          "save it again with the torch that wrote it"};
    case FileKind::png: return Description{"a PNG image", kDownload};
    case FileKind::elf: return Description{"an ELF program", ""};
  }
  return std::nullopt;
}

Error not_a_model(const ByteSource& file) {
  const Where where = Where::in(file.name());
  const FileKind kind = file_kind(file);
  if (kind == FileKind::empty)
    return Error(Code::truncated, "", "the file is empty", where, "download the file again")
        .with_reason(Reason::other_format);
  if (kind == FileKind::safetensors)
    return Error(Code::unsupported, "", "the file is already safetensors", where, "no conversion is needed");
  auto error = [&](std::string_view what, std::string hint) {
    const Error found(Code::unsupported, "", fmt::format("not a model file: {}", what), where, std::move(hint));
    return is_other_format(kind) ? found.with_reason(Reason::other_format) : found;
  };
  if (auto description = describe(file)) return error(description->what, std::move(description->hint));
  if (kind == FileKind::json_object || kind == FileKind::json_array)
    return error("a JSON file", "name the weights file, or the folder");
  return error("unknown format", "download it again, or run: file " + printable(file.name()))
      .with_reason(Reason::unknown_format);
}

}  // namespace depickle::detect
