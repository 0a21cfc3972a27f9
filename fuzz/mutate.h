// Custom mutators for libFuzzer. They keep the structure of a file, because random mutations seldom pass length checks.
// Each mutates libFuzzer's buffer, which contains `size` of at most `max_size` bytes, and returns the new size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace depickle::fuzz {

class Choices;

/// Changes the JSON of the header or the data. In most cases the length and the data size are then corrected.
size_t mutate_safetensors(uint8_t* data, size_t size, size_t max_size, unsigned seed);
/// Moves, copies, removes and inserts complete opcodes, and changes arguments together with their lengths.
size_t mutate_pickle(uint8_t* data, size_t size, size_t max_size, unsigned seed);
/// Changes the name or the content of a record (a pickle as in mutate_pickle), and writes a new directory.
size_t mutate_zip(uint8_t* data, size_t size, size_t max_size, unsigned seed);
/// Calls the mutator for the format of the file. In torch's legacy and tar files, changes one of the pickles.
size_t mutate_any(uint8_t* data, size_t size, size_t max_size, unsigned seed);
/// Changes, copies or removes a message of report_fuzzer. In most cases changes a text together with its length.
size_t mutate_reports(uint8_t* data, size_t size, size_t max_size, unsigned seed);

// Helpers of the mutators.

/// Applies libFuzzer's own mutations to a part of the input. The result has at most `max_size` bytes.
std::string mutated(std::string part, size_t max_size);
std::string mutated_pickle(std::string pickle, size_t max_size, Choices& choices);
/// Copies `file` into libFuzzer's buffer, and truncates it if it is too long.
size_t put(const std::string& file, uint8_t* data, size_t max_size);
/// Returns the size of the first opcode with its argument; the size of `pickle` if it ends inside the argument.
size_t opcode_bytes(std::string_view pickle);

}  // namespace depickle::fuzz
