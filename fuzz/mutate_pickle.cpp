#include <algorithm>
#include <array>
#include <vector>

#include "fuzz/fuzz.h"
#include "fuzz/mutate.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace depickle::fuzz {
namespace {

using namespace std::literals;

constexpr char kFrame = '\x95';

// Opcodes and values that occur in torch pickles and in attacks.
// clang-format off
constexpr std::array kPieces = {
    "("sv, "t"sv, "R"sv, "b"sv, "Q"sv, "}"sv, "]"sv, ")"sv, "\x8f"sv, "0"sv, "1"sv, "2"sv, "N"sv, "s"sv, "u"sv, "a"sv,
    "e"sv, "\x90"sv, "\x91"sv, "d"sv, "l"sv, "o"sv, "\x81"sv, "\x92"sv, "\x93"sv, "\x94"sv, "\x85"sv, "\x86"sv,
    "\x87"sv, "\x88"sv, "\x89"sv, "\x97"sv, "\x98"sv, "."sv, "q\0"sv, "h\0"sv, "q\1"sv, "h\1"sv, "h\2"sv, "K\0"sv,
    "K\1"sv, "K\2"sv, "M\0\1"sv, "J\xff\xff\xff\xff"sv, "\x82\1"sv, "\x83\1\0"sv, "\x8a\0"sv,
    "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f"sv, "G\x7f\xf8\0\0\0\0\0\0"sv, "C\4\0\1\2\3"sv, "\x8c\1a"sv,
    "X\1\0\0\0w"sv, "U\7storage"sv, "I01\n"sv, "I4\n"sv, "L4L\n"sv, "F1.5\n"sv, "S'a'\n"sv, "V\\u00e9\n"sv, "P1\n"sv,
    "p9\n"sv, "g9\n"sv, "ios\nsystem\n"sv, "cos\nsystem\n"sv, "cbuiltins\ngetattr\n"sv, "ctorch\nFloatStorage\n"sv,
    "ctorch\nLongStorage\n"sv, "ctorch\nBFloat16Storage\n"sv, "ctorch.storage\nUntypedStorage\n"sv,
    "ctorch\nfloat4_e2m1fn_x2\n"sv, "ctorch\nfloat32\n"sv, "ctorch\ncomplex64\n"sv, "ctorch\nSize\n"sv,
    "ccollections\nOrderedDict\n)R"sv, "ctorch._utils\n_rebuild_tensor\n"sv, "ctorch._utils\n_rebuild_tensor_v2\n"sv,
    "ctorch._utils\n_rebuild_tensor_v3\n"sv, "ctorch._utils\n_rebuild_parameter\n"sv,
    "ctorch._tensor\n_rebuild_from_type_v2\n"sv, "ctorch._utils\n_rebuild_qtensor\n"sv,
    "ctorch._utils\n_rebuild_sparse_tensor\n"sv, "ctorch._utils\n_rebuild_wrapper_subclass\n"sv,
    "ctorch.nested._internal.nested_tensor\n_rebuild_njt\n"sv, "ctorch.nn.parameter\nParameter\n"sv,
    "ctorch.storage\n_load_from_bytes\n"sv, "cnumpy.core.multiarray\n_reconstruct\n"sv, "cnumpy\ndtype\n"sv,
    "cnumpy.core.numeric\n_frombuffer\n"sv, "c_codecs\nencode\n"sv, "ctorch\nFloatTensor\n"sv,
    "ccollections\nCounter\n"sv, "X\x04\0\0\0conj\x88"sv, "X\x03\0\0\0neg\x88"sv, "X\x0a\0\0\0state_dict"sv,
    "X\x08\0\0\0_modules}"sv, "X\x0b\0\0\0_parameters}"sv, "X\x08\0\0\0_buffers}"sv, "X\x0c\0\0\0__metadata__"sv,
};
// clang-format on

// The form of an opcode's argument.
struct Argument {
  enum class Form { fixed, lines, counted } form;
  size_t bytes;  ///< fixed: of the argument; lines: number of lines; counted: of the length field
};

Argument argument_of(char op) {
  using Form = Argument::Form;
  switch (op) {
    case 'F':
    case 'I':
    case 'L':
    case 'P':
    case 'S':
    case 'V':
    case 'g':
    case 'p': return {Form::lines, 1};
    case 'c':
    case 'i': return {Form::lines, 2};
    case 'U':
    case 'C':
    case '\x8c':
    case '\x8a': return {Form::counted, 1};
    case 'T':
    case 'X':
    case 'B':
    case '\x8b': return {Form::counted, 4};
    case '\x8d':
    case '\x8e':
    case '\x96': return {Form::counted, 8};
    case 'K':
    case 'h':
    case 'q':
    case '\x80':
    case '\x82': return {Form::fixed, 1};
    case 'M':
    case '\x83': return {Form::fixed, 2};
    case 'J':
    case 'j':
    case 'r':
    case '\x84': return {Form::fixed, 4};
    case 'G':
    case kFrame: return {Form::fixed, 8};
    default: return {Form::fixed, 0};
  }
}

uint64_t length_at(std::string_view bytes, size_t length_bytes) {
  uint64_t length = 0;
  std::copy_n(bytes.data(), length_bytes, reinterpret_cast<char*>(&length));
  return length;
}

std::vector<std::string> split(std::string_view pickle) {
  std::vector<std::string> ops;
  while (!pickle.empty()) {
    size_t bytes = opcode_bytes(pickle);
    ops.emplace_back(pickle.substr(0, bytes));
    pickle.remove_prefix(bytes);
  }
  return ops;
}

void mutate_argument(std::string& op, size_t max_size) {
  Argument argument = argument_of(op[0]);
  size_t kept = 1 + (argument.form == Argument::Form::counted ? argument.bytes : 0);
  if (op.size() <= kept && argument.form == Argument::Form::fixed) return;
  std::string content = mutated(op.substr(std::min(kept, op.size())),
      argument.form == Argument::Form::fixed ? argument.bytes : std::min<size_t>(max_size, op.size() + 64));
  if (argument.form == Argument::Form::fixed) content.resize(argument.bytes);
  op.resize(1);
  if (argument.form == Argument::Form::counted) {
    if (argument.bytes == 1) content.resize(std::min<size_t>(content.size(), 255));
    uint64_t length = content.size();
    op.append(reinterpret_cast<const char*>(&length), argument.bytes);
  }
  op += content;
  if (argument.form == Argument::Form::lines && !op.ends_with('\n')) op += '\n';
}

void mutate_ops(std::vector<std::string>& ops, size_t max_size, Choices& choices) {
  const size_t at = choices.below(ops.size()), other = choices.below(ops.size());
  const auto begin = ops.begin() + static_cast<ptrdiff_t>(at);
  const auto end =
      begin + static_cast<ptrdiff_t>(std::min<size_t>(1 + choices.below(choices.one_in(4) ? 24 : 3), ops.size() - at));
  switch (choices.below(6)) {
    case 0: ops.erase(begin, end); break;
    case 1: {
      std::vector<std::string> run(begin, end);
      ops.insert(ops.begin() + static_cast<ptrdiff_t>(other), run.begin(), run.end());
      break;
    }
    case 2: std::swap(ops[at], ops[other]); break;
    case 3: ops.insert(begin, std::string(kPieces[choices.below(kPieces.size())])); break;
    default: mutate_argument(ops[at], max_size);
  }
}

}  // namespace

size_t opcode_bytes(std::string_view pickle) {
  Argument argument = argument_of(pickle[0]);
  size_t end = 1;
  switch (argument.form) {
    case Argument::Form::fixed: end += argument.bytes; break;
    case Argument::Form::lines:
      for (size_t i = 0; i < argument.bytes && end != 0; ++i) end = pickle.find('\n', end) + 1;
      if (end == 0) return pickle.size();
      break;
    case Argument::Form::counted: {
      if (pickle.size() < 1 + argument.bytes) return pickle.size();
      uint64_t length = length_at(pickle.substr(1), argument.bytes);
      if (length > pickle.size() - 1 - argument.bytes) return pickle.size();
      end += argument.bytes + length;
    }
  }
  return std::min(end, pickle.size());
}

std::string mutated_pickle(std::string pickle, size_t max_size, Choices& choices) {
  if (pickle.empty() || choices.one_in(6)) return mutated(std::move(pickle), max_size);
  std::vector<std::string> ops = split(pickle);
  for (uint64_t count = 1 + choices.below(3); count > 0 && !ops.empty(); --count) mutate_ops(ops, max_size, choices);
  // A frame with a wrong length makes the rest of the pickle unreadable.
  bool keep_frames = choices.one_in(16);
  std::string out;
  for (const std::string& op : ops)
    if (keep_frames || op[0] != kFrame) out += op;
  return out;
}

size_t mutate_pickle(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  Choices choices(seed);
  return put(mutated_pickle(std::string(text(input(data, size))), max_size, choices), data, max_size);
}

}  // namespace depickle::fuzz
