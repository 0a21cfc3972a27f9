#include "depickle/base/error.h"
#include "depickle/convert/receipt.h"

namespace depickle::convert {
namespace {

namespace fs = std::filesystem;

// Returns the absolute path of the file's folder, with links resolved.
fs::path folder_of(const fs::path& file) {
  std::error_code error;
  const fs::path absolute = fs::absolute(file, error);
  fs::path folder = error ? fs::path() : fs::weakly_canonical(absolute.parent_path(), error);
  if (error) throw system_error(error.value(), "cannot resolve the path", file);
  return folder;
}

// Returns the file's path relative to `folder`, which is canonical. Links in its folders are resolved; if the file
// itself is a link, the link's name is used.
fs::path relative_path(const fs::path& file, const fs::path& folder) {
  return (folder_of(file) / file.filename()).lexically_relative(folder);
}

}  // namespace

ReceiptWriter::ReceiptWriter(const fs::path& path, os::IfExists if_exists)
    : file_(path, 0, if_exists),
      folder_(folder_of(path)) {
  json_.object().key("schema").value(kReceiptSchema);
  json_.key("tool").object().key("name").value("depickle").key("version").value(DEPICKLE_VERSION).end();
  json_.key("conversions").array();
}

void ReceiptWriter::add(const FileReport& report, std::string_view root) {
  json_.object().key("sources").array();
  for (const DigestedFile& file : report.digested_sources) write_file(file);
  json_.end().key("target");
  write_file({report.target, report.file_bytes, report.target_sha256});
  json_.key("container").value(report.container).key("root").value(root);

  json_.key("tensors").array();
  for (const DigestedTensor& tensor : report.contents) {
    json_.object().key("name").value(tensor.name).key("dtype").value(name(tensor.dtype)).key("shape").inline_array();
    for (uint64_t size : tensor.shape) json_.value(size);
    json_.end().key("bytes").value(tensor.size_bytes).key("sha256").value(tensor.sha256).end();
    flush(size_t{1} << 20);
  }
  json_.end().key("aliases").array();
  for (const Tied& tied : report.tied) json_.object().key("name").value(tied.name).key("kept").value(tied.kept).end();
  json_.end().key("leftovers").array();
  for (const Unused& unused : report.unused)
    json_.object().key("path").value(unused.path).key("description").value(unused.description).end();
  json_.end().key("skipped").array();
  for (const Unsupported& tensor : report.unsupported)
    json_.object().key("name").value(tensor.name).key("what").value(tensor.what).end();
  json_.end().end();
}

void ReceiptWriter::commit(std::span<const DigestedFile> indexes, os::Durable durable) {
  json_.end().key("indexes").array();
  for (const DigestedFile& file : indexes) write_file(file);
  json_.end().end();
  flush(0);
  file_.commit(durable);
}

void ReceiptWriter::write_file(const DigestedFile& file) {
  json_.object().key("file").value(relative_path(file.path, folder_).string());
  json_.key("bytes").value(file.size_bytes).key("sha256").value(file.sha256).end();
}

void ReceiptWriter::flush(size_t min_bytes) {
  if (text_.size() < min_bytes) return;
  file_.write(written_bytes_, bytes(text_));
  written_bytes_ += text_.size();
  text_.clear();
}

}  // namespace depickle::convert
