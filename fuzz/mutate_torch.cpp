#include <algorithm>
#include <charconv>
#include <vector>

#include "depickle/formats/detect/file_kind.h"
#include "depickle/formats/zip/archive.h"
#include "fuzz/fuzz.h"
#include "fuzz/mutate.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace depickle::fuzz {
namespace {

struct Entry {
  std::string name, stored;
  uint32_t size_bytes, crc;
  uint16_t method;
};

// Returns the records, or nothing if the reader refuses the archive.
std::vector<Entry> split(Bytes file) {
  std::vector<Entry> entries;
  try {
    zip::Archive archive = zip::Archive::read(input_file(file));
    for (const zip::Record& record : archive.records()) {
      entries.push_back(
          {std::string(record.name), std::string(text(file.subspan(record.data_offset, record.stored_bytes))),
              static_cast<uint32_t>(record.size_bytes), record.crc, static_cast<uint16_t>(record.method)});
    }
  } catch (const Error&) {
    entries.clear();
  }
  return entries;
}

class Packer {
 public:
  void add(const Entry& entry) {
    const auto offset = static_cast<uint32_t>(out_.size());
    number(out_, 0x04034b50, 4), number(out_, 20, 2);
    describe(out_, entry);
    out_ += entry.name + entry.stored;
    number(directory_, 0x02014b50, 4), number(directory_, 20, 2), number(directory_, 20, 2);
    describe(directory_, entry);
    number(directory_, 0, 10), number(directory_, offset, 4);
    directory_ += entry.name;
    ++count_;
  }

  std::string finish() {
    const size_t begin = out_.size();
    out_ += directory_;
    number(out_, 0x06054b50, 4), number(out_, 0, 4), number(out_, count_, 2), number(out_, count_, 2);
    number(out_, directory_.size(), 4), number(out_, begin, 4), number(out_, 0, 2);
    return std::move(out_);
  }

 private:
  static void number(std::string& out, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) out += static_cast<char>(i < 8 ? value >> 8 * i : 0);
  }
  // The fields that local header and directory share: from the flags to the length of the extra field.
  static void describe(std::string& out, const Entry& entry) {
    number(out, 0, 2), number(out, entry.method, 2), number(out, 0, 4), number(out, entry.crc, 4);
    number(out, entry.stored.size(), 4), number(out, entry.size_bytes, 4), number(out, entry.name.size(), 2),
        number(out, 0, 2);
  }

  std::string out_, directory_;
  uint16_t count_ = 0;
};

void mutate_entries(std::vector<Entry>& entries, size_t max_size, Choices& choices) {
  Entry& entry = entries[choices.below(entries.size())];
  switch (choices.below(8)) {
    case 0: entry.name = mutated(entry.name, entry.name.size() + 16); return;
    case 1: std::swap(entry, entries[choices.below(entries.size())]); return;
    case 2: entries.erase(entries.begin() + (&entry - entries.data())); return;
    case 3: {
      Entry copy = entry;
      copy.name += static_cast<char>('0' + choices.below(10));
      entries.push_back(copy);
      return;
    }
    default: break;
  }
  // Mutations of the pickle reach the most code.
  auto pickle =
      std::ranges::find_if(entries, [](const Entry& one) { return one.name.ends_with("data.pkl") && one.method == 0; });
  Entry& changed = pickle != entries.end() && !choices.one_in(4) ? *pickle : entry;
  const size_t room = std::min(max_size, changed.stored.size() + 256);
  changed.stored = changed.name.ends_with(".pkl") && changed.method == 0 ? mutated_pickle(changed.stored, room, choices)
                                                                         : mutated(changed.stored, room);
  changed.crc = 0;  // 0: no checksum, as some writers leave it
  if (changed.method == 0) changed.size_bytes = static_cast<uint32_t>(changed.stored.size());
}

std::string mutated_archive(Bytes file, size_t max_size, Choices& choices) {
  std::vector<Entry> entries = split(file);
  if (entries.empty() || choices.one_in(6)) return mutated(std::string(text(file)), max_size);
  mutate_entries(entries, max_size, choices);
  Packer packer;
  for (const Entry& entry : entries) packer.add(entry);
  return packer.finish();
}

// A legacy file: magic, version, system, object, keys, storages.
std::string mutated_legacy(std::string_view file, size_t max_size, Choices& choices) {
  std::vector<std::string> parts;
  while (!file.empty() && parts.size() < 5) {
    size_t end = 0;
    for (bool stop = false; end < file.size() && !stop;) {
      stop = file[end] == '.';
      end += opcode_bytes(file.substr(end));
    }
    parts.emplace_back(file.substr(0, end));
    file.remove_prefix(end);
  }
  std::string storages(file);
  if (parts.size() < 5 || choices.one_in(6)) {
    storages = mutated(std::move(storages), max_size);
  } else {
    std::string& part = parts[choices.one_in(3) ? choices.below(5) : 3];
    part = mutated_pickle(part, part.size() + 256, choices);
  }
  std::string out;
  for (const std::string& part : parts) out += part;
  return out + storages;
}

// A tar: for each member a header block with name, size and checksum, then its content in blocks of 512 bytes.
std::string mutated_tar(std::string_view file, size_t max_size, Choices& choices) {
  constexpr size_t kBlock = 512, kSize = 124, kChecksum = 148;
  auto octal = [](std::string& header, size_t at, size_t number, size_t digits) {
    for (size_t i = digits; i-- > 0; number /= 8) header[at + i] = static_cast<char>('0' + number % 8);
  };
  std::string out;
  while (file.size() >= kBlock && file[0] != '\0') {
    std::string header(file.substr(0, kBlock));
    size_t size = 0;
    std::from_chars(header.data() + kSize, header.data() + kSize + 11, size, 8);
    file.remove_prefix(kBlock);
    std::string content(file.substr(0, size));
    file.remove_prefix(std::min(file.size(), (content.size() + kBlock - 1) / kBlock * kBlock));
    if (choices.one_in(3))
      content = choices.one_in(2) ? mutated(content, content.size() + 64)
                                  : mutated_pickle(content, content.size() + 256, choices);
    octal(header, kSize, content.size(), 11);
    std::fill_n(header.begin() + kChecksum, 8, ' ');
    size_t sum = 0;
    for (unsigned char c : header) sum += c;
    octal(header, kChecksum, sum, 6);
    content.resize((content.size() + kBlock - 1) / kBlock * kBlock);
    out += header + content;
  }
  return out.empty() || choices.one_in(8) ? mutated(out + std::string(file), max_size) : out;
}

}  // namespace

size_t mutate_zip(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  Choices choices(seed);
  return put(mutated_archive(input(data, size), max_size, choices), data, max_size);
}

size_t mutate_any(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  Bytes file = input(data, size);
  Choices choices(seed);
  using detect::FileKind;
  switch (detect::file_kind(file)) {
    case FileKind::zip: return mutate_zip(data, size, max_size, seed);
    case FileKind::torch_legacy: return put(mutated_legacy(text(file), max_size, choices), data, max_size);
    case FileKind::tar: return put(mutated_tar(text(file), max_size, choices), data, max_size);
    case FileKind::pickle:
    case FileKind::plain_pickle: return mutate_pickle(data, size, max_size, seed);
    case FileKind::safetensors: return mutate_safetensors(data, size, max_size, seed);
    default: return LLVMFuzzerMutate(data, size, max_size);
  }
}

}  // namespace depickle::fuzz
