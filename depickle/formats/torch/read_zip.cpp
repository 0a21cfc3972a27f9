// The zip container: torch ≥ 1.6, TorchScript, libtorch.
#include <algorithm>

#include <fmt/format.h>

#include "depickle/base/error.h"
#include "depickle/base/text.h"
#include "depickle/formats/pickle/parse.h"
#include "depickle/formats/torch/contents.h"
#include "depickle/formats/zip/archive.h"

namespace depickle::torch {
namespace {

using zip::Archive;
using zip::Record;

constexpr uint64_t kMaxPickleBytes = 1 << 30;

// TZ01: torch reads only archives whose records are all in one folder, which can have any name.
std::string_view root_folder(const Archive& archive) {
  if (archive.records().empty()) fail("TZ01", "the archive is empty");
  std::string_view first = archive.records().front().name;
  std::string_view root = first.substr(0, first.find('/'));
  for (const Record& record : archive.records()) {
    if (!record.name.starts_with(root) || record.name.size() <= root.size() || record.name[root.size()] != '/')
      fail("TZ01", fmt::format("record {} is not in folder {}, but a torch file has one folder",
                       quoted(record.name, 80), quoted(root, 80)));
  }
  return root;
}

[[noreturn]] void throw_unsupported(std::string what, std::string hint) {
  throw Error(Code::unsupported, "TZ02", std::move(what), {}, std::move(hint));
}

class ZipReader {
 public:
  explicit ZipReader(std::shared_ptr<const ByteSource> source)
      : source_(std::move(source)),
        archive_(Archive::read(source_)) {}

  Contents read() {
    const Record& record = find_pickle();
    const bool is_big_endian = read_byte_order();
    contents_.notes = archive_.notes();
    read_pickle(contents_, record, "data/", is_big_endian);
    note_checksums(record);
    note_other_records(record);
    if (contents_.has_code) read_torchscript(is_big_endian);
    return std::move(contents_);
  }

 private:
  std::string in_root(std::string_view folder, std::string_view name = "") const {
    return std::string(root_).append("/").append(folder).append(name);
  }

  // Reads a pickle whose storages are in `folder`.
  void read_pickle(Contents& contents, const Record& record, std::string_view folder, bool is_big_endian) {
    Archive::Content content = archive_.content(record);
    if (content.size_bytes > kMaxPickleBytes)
      throw Error(Code::limit, "TZ02",
          fmt::format("{} has {} bytes (at most {})", printable(record.name.substr(root_.size() + 1), 80),
              grouped(content.size_bytes), grouped(kMaxPickleBytes)));
    contents.kind = detect::FileKind::zip;
    contents.big_endian = is_big_endian;
    contents.stream = content.source;
    // Offsets in errors count from the start of the file, or from the start of the pickle if it is compressed.
    try {
      contents.graph = pickle::parse(content.bytes(), content.offset_bytes).graph;
    } catch (const Error& error) {
      throw error.in(fmt::format("{} ({})", source_->name(), printable(record.name, 80)));
    }
    resolve_storages(contents, folder);
  }

  void read_torchscript(bool is_big_endian) {
    contents_.notes.push_back("a TorchScript archive: its code is not executed");
    contents_.script_classes = read_script_classes(archive_, root_, contents_.graph, contents_.arena);
    if (!contents_.script_classes.note.empty()) contents_.notes.push_back(contents_.script_classes.note);
    const Record* record = archive_.find(in_root("constants.pkl"));
    if (!record) return;
    auto constants = std::make_shared<Contents>();
    constants->has_code = true;
    try {
      read_pickle(*constants, *record, "constants/", is_big_endian);
      contents_.constants = std::move(constants);
      std::erase(contents_.unused_records, "constants.pkl");
    } catch (const Error& error) {
      if (error.code() == Code::network || error.code() == Code::io) throw;
      contents_.notes.push_back(fmt::format("constants.pkl cannot be read: {}", error.message()));
    }
  }

  const Record& find_pickle() {
    try {
      root_ = root_folder(archive_);
    } catch (const Error&) {
      bool has_pickle = std::ranges::any_of(archive_.records(),
          [](const Record& record) { return record.name == "data.pkl" || record.name.ends_with("/data.pkl"); });
      if (!has_pickle) throw_other_zip();
      throw;
    }
    const Record* record = archive_.find(in_root("data.pkl"));
    if (!record) throw_other_zip();
    return *record;
  }

  [[noreturn]] void throw_other_zip() const {
    for (const Record& record : archive_.records()) {
      std::string_view name = record.name;
      if (name.ends_with("extern_modules"))
        throw_unsupported("a torch.package archive, not a checkpoint", "save the model's state_dict with torch.save");
      if (name.ends_with("archive_format") || name.find("/models/") != name.npos)
        throw_unsupported(
            "a torch.export archive (.pt2), not a checkpoint", "save the model's state_dict with torch.save");
      if (name.ends_with("MANIFEST.json"))
        throw_unsupported("a TorchServe archive (.mar), not a checkpoint", "unzip it and convert the .pt file inside");
      if (name.ends_with(".npy")) throw_unsupported("a NumPy archive (.npz), not a checkpoint", "");
      if (name.ends_with("model.weights.h5") || name.ends_with("saved_model.pb"))
        throw_unsupported("a Keras or TensorFlow archive, not a torch checkpoint", "");
      if (name.ends_with("model.json") && archive_.find(in_root("tensors/0")))
        throw_unsupported("a TorchScript archive of torch 1.0", "save it again with a newer torch");
    }
    throw_unsupported("a zip archive without data.pkl: not a torch checkpoint", "if it contains one, unzip it first");
  }

  bool read_byte_order() const {
    const Record* record = archive_.find(in_root("byteorder"));
    if (!record) return false;
    if (record->size_bytes > 16)
      fail("TZ03",
          fmt::format("the record byteorder has {} bytes (expected \"little\" or \"big\")", record->size_bytes));
    Archive::Content content = archive_.content(*record);
    std::string_view order = text(content.bytes());
    if (order != "little" && order != "big")
      fail("TZ03", fmt::format("the record byteorder contains {} (expected \"little\" or \"big\")", quoted(order)));
    return order == "big";
  }

  // All persistent ids in the pickle, used or not.
  void resolve_storages(Contents& contents, std::string_view folder) {
    StorageKeys keys;
    for (const pickle::Event& event : contents.graph.events()) {
      if (event.op() != pickle::Op::BINPERSID && event.op() != pickle::Op::PERSID) continue;
      try {
        auto id = read_persistent_id(contents.graph, event.node);
        if (!id) continue;
        contents.views.emplace_back(event.node, resolve(contents, folder, keys, *id));
      } catch (const Error& error) {
        throw error.at(Where::at(event.offset_bytes));
      }
    }
  }

  StorageView resolve(Contents& contents, std::string_view folder, StorageKeys& keys, const PersistentId& id) {
    uint64_t size_bytes = 0;
    if (__builtin_mul_overflow(id.numel, id.element->bytes, &size_bytes)) fail("TS01", "a storage's size overflows");
    uint32_t index = keys.find_or_add(contents, id.key, id.element, size_bytes, [&] {
      const Record* record = archive_.find(in_root(folder, id.key));
      if (!record) fail("TS03", fmt::format("storage {} has no record", quoted(id.key)));
      used_crcs_ += record->crc != 0;
      used_bytes_ += record->size_bytes != 0;
      Archive::Content content = archive_.content(*record);
      return Storage{.key = {},
          .source = content.source,
          .offset_bytes = content.offset_bytes,
          .size_bytes = content.size_bytes,
          .crc = record->crc};
    });
    if (!id.view) return {index, 0, contents.storages[index].size_bytes, id.element, id.location};
    uint64_t begin = 0, length = 0, end = 0;
    if (__builtin_mul_overflow(id.view->offset, id.element->bytes, &begin) ||
        __builtin_mul_overflow(id.view->numel, id.element->bytes, &length) ||
        __builtin_add_overflow(begin, length, &end) || end > contents.storages[index].size_bytes)
      fail("TS04", fmt::format("a view reaches outside storage {}", quoted(id.key)));
    return {index, begin, length, id.element, id.location};
  }

  void note_checksums(const Record& pickle_record) {
    if (used_bytes_ == 0 || used_crcs_ > 0) return;
    if (pickle_record.crc == 0) {
      contents_.notes.push_back("the archive contains no checksums");
    } else {
      contents_.notes.push_back(
          "the storages have no checksums, but data.pkl has one: torch.serialization.skip_data writes such files "
          "without the weights");
    }
  }

  void note_other_records(const Record& pickle_record) {
    for (const Record& record : archive_.records()) {
      const std::string name = lower_case(record.name.substr(root_.size() + 1));
      contents_.has_code |= name.starts_with("code/") || name == "constants.pkl";
      bool expected = name.empty() || name.ends_with('/') || name.starts_with("data/") || name.starts_with("code/") ||
                      name.starts_with("constants/") || name == "version" || name == "byteorder" ||
                      name.starts_with(".");
      if (expected || &record == &pickle_record || contents_.unused_records.size() >= 100) continue;
      contents_.unused_records.emplace_back(record.name.substr(root_.size() + 1));
    }
  }

  std::shared_ptr<const ByteSource> source_;
  Archive archive_;
  std::string_view root_;
  Contents contents_;
  uint64_t used_crcs_ = 0, used_bytes_ = 0;
};

}  // namespace

Contents read_zip(std::shared_ptr<const ByteSource> source) { return ZipReader(std::move(source)).read(); }

}  // namespace depickle::torch
