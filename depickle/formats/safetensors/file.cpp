#include "depickle/formats/safetensors/file.h"

#include "depickle/os/mapped_file.h"

namespace depickle::safetensors {

File File::open(const std::filesystem::path& path, Mode mode) {
  auto source = os::MappedFile::open(path);
  Header header = Header::read(*source, mode);
  return File(std::move(source), std::move(header));
}

}  // namespace depickle::safetensors
