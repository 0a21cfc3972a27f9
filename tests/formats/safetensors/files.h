// Small safetensors files for the tests, and the errors that they are refused with.
#pragma once

#include <string>
#include <string_view>

#include "depickle/formats/safetensors/header.h"
#include "tests/made.h"

namespace depickle::safetensors {

/// `{"dtype":"F32","shape":[1],"data_offsets":[0,4]}` and the like.
inline std::string info(
    std::string_view dtype, std::string_view shape, std::string_view offsets, std::string_view more = "") {
  return std::string("{\"dtype\":\"")
      .append(dtype)
      .append("\",\"shape\":")
      .append(shape)
      .append(",\"data_offsets\":")
      .append(offsets)
      .append(more)
      .append("}");
}

/// The bytes of a file: length, header, `data_bytes` zeros.
inline std::string file_of(std::string_view header, size_t data_bytes = 0) {
  uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8).append(header).append(data_bytes, '\0');
}

inline Error refusal(std::string_view header, uint64_t data_bytes = 4, Mode mode = Mode::reference) {
  return error_of([&] { Header::parse(bytes(header), data_bytes, mode); });
}

/// The rule that refuses it; "accepted" where none does.
inline std::string rule_of(std::string_view header, uint64_t data_bytes = 4, Mode mode = Mode::reference) {
  return refusal(header, data_bytes, mode).rule();
}

}  // namespace depickle::safetensors
