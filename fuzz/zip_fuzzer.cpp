// The zip directory: what the reader accepts, no other reader can see otherwise.
#include <algorithm>
#include <vector>

#include "depickle/formats/zip/archive.h"
#include "fuzz/fuzz.h"
#include "fuzz/mutate.h"

namespace depickle::fuzz {
namespace {

using zip::Archive;
using zip::Record;

void check_places(const Archive& archive, uint64_t file_bytes) {
  std::vector<const Record*> records;
  for (const Record& record : archive.records()) records.push_back(&record);
  std::ranges::sort(records, {}, &Record::header_offset);
  uint64_t end = 0;
  for (const Record* record : records) {
    promise(record->header_offset >= end, "records do not overlap");
    promise(record->data_offset >= record->header_offset + 30 + record->name.size(), "a payload follows its header");
    promise(record->data_offset <= file_bytes && record->stored_bytes <= file_bytes - record->data_offset,
        "a payload lies in the file");
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
    promise(archive.find(record.name) == &record, "a record is found by its name");
    names.push_back(folded(record.name));
    promise(archive.find(names.back()) == &record, "a record is found in any case");
    promise(!record.name.starts_with('/') && ("/" + names.back() + "/").find("/../") == std::string::npos,
        "no name leaves the folder");
  }
  std::ranges::sort(names);
  promise(std::ranges::adjacent_find(names) == names.end(), "no name occurs twice");
}

void check_contents(const Archive& archive, const ByteSource& file) {
  constexpr uint64_t kMaxBytes = 4 << 20;
  for (const Record& record : archive.records()) {
    if (record.method == Record::Method::deflated && record.size_bytes > kMaxBytes) continue;
    accepts([&] {
      Bytes bytes = archive.content(record).bytes();
      promise(bytes.size() == record.size_bytes, "a content is as long as it is said to be");
      if (record.method == Record::Method::stored)
        promise(bytes.data() == file.all().data() + record.data_offset, "a stored content is not copied");
    });
  }
}

void run(Bytes bytes) {
  std::shared_ptr<const ByteSource> file = input_file(bytes);
  accepts([&] {
    Archive archive = Archive::read(file);
    check_places(archive, file->size_bytes());
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

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed) {
  return depickle::fuzz::mutate_zip(data, size, most, seed);
}
