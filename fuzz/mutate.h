// Mutations that keep a file's structure, for libFuzzer: blind ones seldom come past a length, an offset or a STOP.
// Each takes libFuzzer's buffer, of which `size` of `most` bytes are used, and returns the new size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace depickle::fuzz {

class Choices;

/// The header's JSON or the data is changed; length and data then fit again, mostly.
size_t mutate_safetensors(uint8_t* data, size_t size, size_t most, unsigned seed);
/// Whole opcodes are moved, copied, dropped and inserted, arguments changed with their lengths.
size_t mutate_pickle(uint8_t* data, size_t size, size_t most, unsigned seed);
/// One record's name or content is changed, a pickle as by mutate_pickle, and the directory rebuilt.
size_t mutate_zip(uint8_t* data, size_t size, size_t most, unsigned seed);
/// One of the above, by what the file is; in torch's older containers one of their pickles.
size_t mutate_any(uint8_t* data, size_t size, size_t most, unsigned seed);

// For the mutators themselves.

/// libFuzzer's own mutations of a part of the input, to at most `most` bytes.
std::string mutated(std::string part, size_t most);
std::string mutated_pickle(std::string pickle, size_t most, Choices& choices);
/// Copies `file` into libFuzzer's buffer; cut where it is too long.
size_t put(const std::string& file, uint8_t* data, size_t most);
/// Bytes of the first opcode of a pickle with its argument; all of `pickle` where it ends inside it.
size_t opcode_bytes(std::string_view pickle);

}  // namespace depickle::fuzz
