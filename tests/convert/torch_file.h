// Writes small torch zip files, in the layout of torch.save, for tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace depickle::convert {

/// A state dict with F32 tensors and numbers.
class TorchFile {
 public:
  TorchFile& tensor(std::string_view name, const std::vector<float>& values) {
    storages_.emplace_back(reinterpret_cast<const char*>(values.data()), 4 * values.size());
    return view(name, storages_.size() - 1, {values.size()}, {1});
  }
  /// Adds another name or view of storage number `storage`.
  TorchFile& view(
      std::string_view name, size_t storage, const std::vector<uint64_t>& shape, const std::vector<uint64_t>& strides) {
    pickle_ += text(name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" +
               text(std::to_string(storage)) + text("cpu") + number(storages_[storage].size() / 4) + "tQ" + number(0) +
               tuple(shape) + tuple(strides) + "\x89" + "ccollections\nOrderedDict\n)RtR";
    return *this;
  }
  TorchFile& number(std::string_view name, uint64_t value) {
    pickle_ += text(name) + number(value);
    return *this;
  }

  std::string zip() const {
    std::string file, directory;
    uint16_t entries = 0;
    auto add = [&](const std::string& name, const std::string& content) {
      std::string head = u16(0) + u16(0) + u16(0) + u16(0) + u16(0) + u32(crc(content)) + u32(content.size()) +
                         u32(content.size()) + u16(name.size());
      size_t padding = (64 - (file.size() + 30 + name.size() + 4) % 64) % 64;
      directory += "PK\x01\x02" + u16(0) + head + u16(0) + u16(0) + u16(0) + u16(0) + u32(0) + u32(file.size()) + name;
      file += "PK\x03\x04" + head + u16(4 + padding) + name + "FB" + u16(padding) + std::string(padding, 'Z') + content;
      ++entries;
    };
    add("archive/data.pkl", std::string("\x80\x02}(", 4) + pickle_ + "u.");
    add("archive/byteorder", "little");
    for (size_t i = 0; i < storages_.size(); ++i) add("archive/data/" + std::to_string(i), storages_[i]);
    add("archive/version", "3\n");
    return file + directory + "PK\x05\x06" + u16(0) + u16(0) + u16(entries) + u16(entries) + u32(directory.size()) +
           u32(file.size()) + u16(0);
  }

 private:
  static std::string little(uint64_t value, int size) {
    std::string out;
    for (int i = 0; i < size; ++i) out += static_cast<char>(value >> (8 * i));
    return out;
  }
  static std::string u16(uint64_t value) { return little(value, 2); }
  static std::string u32(uint64_t value) { return little(value, 4); }
  static std::string text(std::string_view value) { return "X" + u32(value.size()) + std::string(value); }
  static std::string number(uint64_t value) { return "J" + u32(value); }
  static std::string tuple(const std::vector<uint64_t>& values) {
    std::string out = "(";
    for (uint64_t value : values) out += number(value);
    return out + "t";
  }
  static uint32_t crc(std::string_view content) {
    uint32_t state = ~0u;
    for (char c : content) {
      state ^= static_cast<unsigned char>(c);
      for (int i = 0; i < 8; ++i) state = state >> 1 ^ (state & 1 ? 0xedb88320u : 0);
    }
    return ~state;
  }

  std::string pickle_;
  std::vector<std::string> storages_;
};

}  // namespace depickle::convert
