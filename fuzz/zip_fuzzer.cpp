// zip archives: all readers see the same content in an archive that the reader accepts.
#include <algorithm>
#include <vector>

#include "depickle/formats/zip/archive.h"
#include "fuzz/fuzz.h"
#include "fuzz/mutate.h"

namespace depickle::fuzz {
namespace {

using zip::Archive;
using zip::Record;

void check_offsets(const Archive& archive, uint64_t file_bytes) {
  std::vector<const Record*> records;
  for (const Record& record : archive.records()) records.push_back(&record);
  std::ranges::sort(records, {}, &Record::header_offset);
  uint64_t end = 0;
  for (const Record* record : records) {
    require(record->header_offset >= end, "records do not overlap");
    require(record->data_offset >= record->header_offset + 30 + record->name.size(),
        "the data of a record follows its header");
    require(record->data_offset <= file_bytes && record->stored_bytes <= file_bytes - record->data_offset,
        "the data of a record is inside the file");
    end = record->data_offset + record->stored_bytes;
  }
}

std::string folded(std::string_view name) {
  std::string out(name);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

void check_names(const Archive& archive) {
  std::vector<std::string> names;
  for (const Record& record : archive.records()) {
    require(archive.find(record.name) == &record, "a record is found by its name");
    names.push_back(folded(record.name));
    require(archive.find(names.back()) == &record, "a record is found in any case");
    require(!record.name.starts_with('/') && ("/" + names.back() + "/").find("/../") == std::string::npos,
        "no name leaves the folder");
  }
  std::ranges::sort(names);
  require(std::ranges::adjacent_find(names) == names.end(), "names are unique without case");
}

void check_contents(const Archive& archive, const ByteSource& file) {
  constexpr uint64_t kMaxBytes = 4 << 20;
  for (const Record& record : archive.records()) {
    if (record.method == Record::Method::deflated && record.size_bytes > kMaxBytes) continue;
    accepts([&] {
      Bytes bytes = archive.content(record).bytes();
      require(bytes.size() == record.size_bytes, "a content has the declared size");
      if (record.method == Record::Method::stored)
        require(bytes.data() == file.all().data() + record.data_offset, "a stored content is not copied");
    });
  }
}

void run(Bytes bytes) {
  std::shared_ptr<const ByteSource> file = input_file(bytes);
  accepts([&] {
    Archive archive = Archive::read(file);
    check_offsets(archive, file->size_bytes());
    check_names(archive);
    check_contents(archive, *file);
  });
}

}  // namespace
}  // namespace depickle::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  depickle::fuzz::run(depickle::fuzz::input(data, size));
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  return depickle::fuzz::mutate_zip(data, size, max_size, seed);
}
