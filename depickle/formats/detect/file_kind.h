// The kind of a file, from its first bytes.
#pragma once

#include <cstdint>

#include "depickle/base/bytes.h"
#include "depickle/base/source.h"
#include "depickle/formats/detect/tar_header.h"

namespace depickle::detect {

enum class FileKind : uint8_t {
  unknown,
  empty,
  safetensors,   ///< a header length of at most 100,000,000 bytes, then a JSON object
  zip,           ///< torch ≥ 1.6, TorchScript, or any other zip archive
  torch_legacy,  ///< torch 0.1.10 to 1.5
  tar,           ///< begins with a header that Python's tarfile accepts; torch before 0.1.10 wrote such files
  pickle,        ///< begins with the opcode PROTO and a protocol up to 5
  plain_pickle,  ///< protocols 0 and 1 have no magic number: the first bytes may begin a pickle
  json_object,   ///< "{", maybe after white space
  json_array,    ///< "[", maybe after white space
  lfs_pointer,   ///< a git-LFS pointer
  web_page,      ///< HTML
  xml,           ///< also the errors of storage servers
  hub_error,     ///< an error message of the Hub, saved as a file
  empty_zip,     ///< a zip archive without records
  gzip,
  seven_zip,
  zstd,
  xz,
  bzip2,
  rar,
  gguf,
  npy,
  hdf5,
  torch_preview,  ///< the torch 1.0 preview; no release reads it
  png,
  elf,
};

/// The first bytes of a file that decide its kind: one block of a tar archive.
inline constexpr uint64_t kHeadBytes = kTarBlockBytes;

/// Returns the kind of a file that begins with `head`. Uses at most kHeadBytes; pass fewer only if the file is shorter.
FileKind file_kind(Bytes head);
/// Returns the kind of the file; reads its first kHeadBytes.
FileKind file_kind(const ByteSource& file);

/// Returns whether bytes begin with the opcode PROTO and a protocol up to 5. Unlike for FileKind::pickle, they may
/// also be a legacy torch file or a safetensors file.
bool begins_with_proto(Bytes bytes) noexcept;

}  // namespace depickle::detect
