#include "depickle/weights/scan.h"

#include <algorithm>

#include "depickle/formats/safetensors/header.h"
#include "depickle/torch/table.h"

namespace depickle::weights {

torch::Scan scan(const std::filesystem::path& path) { return scan(MappedFile::open(path)); }

torch::Scan scan(std::shared_ptr<const ByteSource> file) {
  torch::Scan scan = torch::scan(file);
  Bytes head = file->view(0, std::min<uint64_t>(file->size_bytes(), 512));
  try {
    if (torch::sniff(head) == torch::Format::safetensors) {
      safetensors::Header::read(*file);
      scan.notes.push_back("safetensors: holds no pickle");
    } else if (scan.verdict == torch::Verdict::tensors_only) {
      torch::read_table(file, {.root = "."});
    }
  } catch (const Error& error) {
    scan.error = error;
    if (scan.findings.empty()) scan.verdict = torch::Verdict::unreadable;
  }
  return scan;
}

}  // namespace depickle::weights
