// Small safetensors files for the tests, and the errors that they are refused with.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "depickle/base/error.h"
#include "depickle/safetensors/header.h"

namespace depickle::safetensors {

/// `{"dtype":"F32","shape":[1],"data_offsets":[0,4]}` and the like.
inline std::string info(std::string_view dtype, std::string_view shape, std::string_view offsets, std::string_view more = "") {
  return std::string("{\"dtype\":\"").append(dtype).append("\",\"shape\":").append(shape).append(",\"data_offsets\":").append(offsets).append(more).append("}");
}

/// The bytes of a file: length, header, `data_bytes` zeros.
inline std::string file_of(std::string_view header, size_t data_bytes = 0) {
  uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8).append(header).append(data_bytes, '\0');
}

/// The error that `action` ends with, or one without a text where it ends well.
template <typename Action>
Error error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  return Error(Code::io, "accepted", "accepted");
}

inline Error refusal(std::string_view header, uint64_t data_bytes = 4, Mode mode = Mode::reference) {
  return error_of([&] { Header::parse(bytes(header), data_bytes, mode); });
}

/// The rule that refuses it; "accepted" where none does.
inline std::string rule_of(std::string_view header, uint64_t data_bytes = 4, Mode mode = Mode::reference) { return refusal(header, data_bytes, mode).rule(); }

/// A folder that goes away with the test.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "depickle-test-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  std::filesystem::path write(std::string_view name, std::string_view content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace depickle::safetensors
