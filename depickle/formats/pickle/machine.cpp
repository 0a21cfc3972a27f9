#include "depickle/formats/pickle/machine.h"

#include <algorithm>
#include <array>
#include <bit>

#include <fmt/format.h>

#include "depickle/base/text.h"

namespace depickle::pickle {
namespace {

constexpr int64_t kSharedIntegers = 256;

// Python calls with any iterable as arguments, and stores items in objects of any class.
constexpr std::array<std::string_view, 2> kRulesThatPythonDoesNotEnforce = {"PK06", "PK07"};

}  // namespace

Machine::Machine(Bytes stream, uint64_t first_byte, const ParseLimits& limits, std::optional<Error>* divergence)
    : limits_(limits),
      stream_(stream, first_byte, divergence),
      recent_integers_(256, kNothing) {
  graph_.add({.kind = NodeKind::none});
  graph_.add({.kind = NodeKind::boolean, .value = {.integer = 0}});
  graph_.add({.kind = NodeKind::boolean, .value = {.integer = 1}});
  graph_.add({.kind = NodeKind::tuple, .a = 0, .value = {.elements = nullptr}});
  for (int64_t i = 0; i < kSharedIntegers; ++i) graph_.add({.kind = NodeKind::integer, .value = {.integer = i}});
}

void Machine::fail(std::string_view rule, std::string what) const {
  throw Error(Code::malformed, rule, fmt::format("{}: {}", name(opcode_), what), Where::at(opcode_offset_));
}

void Machine::check_limit(uint64_t count, uint64_t max, std::string_view what) const {
  if (count >= max)
    throw Error(Code::limit, "PK10", fmt::format("more than {} {}", grouped(max), what), Where::at(opcode_offset_));
}

void Machine::run() {
  for (uint64_t count = 0;; ++count) {
    opcode_offset_ = stream_.offset();
    auto byte = stream_.opcode();
    opcode_ = static_cast<Op>(byte);
    check_limit(count, limits_.opcodes, "opcodes");
    if (opcode_ == Op::STOP) break;
    execute(opcode_);
  }
  graph_.root_ = pop();
  if (stream_.in_frame())
    stream_.diverge(
        Error(Code::malformed, "PK03", "STOP: the pickle stops before its frame ends", Where::at(opcode_offset_)));
}

void Machine::push(Handle handle) {
  check_limit(stack_.size(), limits_.stack_items, "items on the stack");
  stack_.push_back(handle);
}

Handle Machine::pop() {
  if (stack_.size() <= stack_base())
    fail("PK04", marks_.empty() ? "the stack is empty" : "no item above the last mark");
  Handle handle = stack_.back();
  stack_.pop_back();
  return handle;
}

Handle& Machine::top() {
  if (stack_.size() <= stack_base())
    fail("PK04", marks_.empty() ? "the stack is empty" : "no item above the last mark");
  return stack_.back();
}

std::span<const Handle> Machine::pop_to_mark() {
  if (marks_.empty()) fail("PK04", "no mark on the stack");
  size_t begin = marks_.back();
  marks_.pop_back();
  std::span<const Handle> items(stack_.data() + begin, stack_.size() - begin);
  stack_.resize(begin);  // shrinking does not move the items
  return items;
}

void Machine::pop_item_or_mark() {
  if (!marks_.empty() && stack_.size() == marks_.back()) {
    marks_.pop_back();
  } else {
    pop();
  }
}

Handle Machine::make(Node node) {
  check_limit(graph_.count_, limits_.nodes, "values");
  return graph_.add(node);
}

Handle Machine::make_integer(int64_t value) {
  if (value >= 0 && value < kSharedIntegers) return kFirstInteger + static_cast<Handle>(value);
  Handle& recent = recent_integers_[static_cast<uint64_t>(value) % recent_integers_.size()];
  if (recent == kNothing || graph_.integer(recent) != value)
    recent = make({.kind = NodeKind::integer, .value = {.integer = value}});
  return recent;
}

void Machine::put(uint64_t index) {
  Handle value = top();
  // Large indices are stored in a map, so that one index near 2^32 takes little memory. An index stays in the map: with
  // two places it would be counted twice, and MEMOIZE uses the count.
  bool dense = index <= memo_entries_ * 4 + 1024 && (sparse_memo_.empty() || !sparse_memo_.contains(index));
  if (dense && index >= memo_.size()) memo_.resize(index + 1, kNothing);
  Handle* slot = dense ? &memo_[index] : &sparse_memo_.try_emplace(index, kNothing).first->second;
  if (*slot == kNothing) {
    check_limit(memo_entries_, limits_.memo_entries, "memo entries");
    ++memo_entries_;
  }
  *slot = value;
}

Handle Machine::get(uint64_t index) {
  if (index < memo_.size() && memo_[index] != kNothing) return memo_[index];
  auto found = sparse_memo_.find(index);
  if (found == sparse_memo_.end()) fail("PK08", fmt::format("memo entry {} does not exist", index));
  return found->second;
}

Handle Machine::pop_tuple(size_t count) {
  if (stack_.size() < stack_base() + count) fail("PK04", fmt::format("needs {} items", count));
  Handle tuple = make_tuple(std::span<const Handle>(stack_).last(count));
  stack_.resize(stack_.size() - count);
  return tuple;
}

uint64_t Machine::read_length() {
  auto length = stream_.number<int32_t>();
  if (length < 0) fail("PK05", fmt::format("negative length {}", length));
  return static_cast<uint64_t>(length);
}

Bytes Machine::read_text(uint64_t length) {
  Bytes taken = stream_.take(length);
  if (length > limits_.text_bytes)
    throw Error(Code::limit, "PK10",
        fmt::format("a str has {} bytes (at most {})", grouped(length), grouped(limits_.text_bytes)),
        Where::at(opcode_offset_));
  return taken;
}

void Machine::execute(Op op) {
  switch (op) {
    case Op::NONE: push(kNone); break;
    case Op::NEWTRUE: push(kTrue); break;
    case Op::NEWFALSE: push(kFalse); break;
    case Op::BININT: push(make_integer(stream_.number<int32_t>())); break;
    case Op::BININT1: push(make_integer(stream_.number<uint8_t>())); break;
    case Op::BININT2: push(make_integer(stream_.number<uint16_t>())); break;
    case Op::LONG1: push(integer_of_bytes(stream_.take(stream_.number<uint8_t>()))); break;
    case Op::LONG4: push(integer_of_bytes(stream_.take(read_length()))); break;
    case Op::INT: push(integer_or_boolean_of_line(stream_.number_line(limits_.line_bytes))); break;
    case Op::LONG: push(long_of_line(stream_.number_line(limits_.line_bytes))); break;
    case Op::FLOAT: push(real_of_line(stream_.number_line(limits_.line_bytes))); break;
    case Op::BINFLOAT: push(make_real(std::bit_cast<double>(__builtin_bswap64(stream_.number<uint64_t>())))); break;

    case Op::STRING: push(make_decoded_text(decode_quoted(stream_.line(limits_.text_bytes)))); break;
    case Op::UNICODE: push(make_decoded_text(decode_raw_unicode_escape(stream_.line(limits_.text_bytes)))); break;
    case Op::BINSTRING: push(make_text(read_text(read_length()))); break;
    case Op::SHORT_BINSTRING: push(make_text(read_text(stream_.number<uint8_t>()))); break;
    case Op::SHORT_BINUNICODE: push(make_unicode(read_text(stream_.number<uint8_t>()))); break;
    case Op::BINUNICODE: push(make_unicode(read_text(stream_.number<uint32_t>()))); break;
    case Op::BINUNICODE8: push(make_unicode(read_text(stream_.number<uint64_t>()))); break;
    case Op::BINBYTES: push(make_bytes(stream_.take(stream_.number<uint32_t>()))); break;
    case Op::SHORT_BINBYTES: push(make_bytes(stream_.take(stream_.number<uint8_t>()))); break;
    case Op::BINBYTES8:
    case Op::BYTEARRAY8: push(make_bytes(stream_.take(stream_.number<uint64_t>()))); break;
    default: execute_on_stack(op);
  }
}

void Machine::execute_on_stack(Op op) {
  switch (op) {
    case Op::MARK:
      check_limit(marks_.size(), limits_.marks, "marks");
      marks_.push_back(stack_.size());
      break;
    case Op::POP: pop_item_or_mark(); break;
    case Op::POP_MARK: pop_to_mark(); break;
    case Op::DUP: push(top()); break;

    case Op::PUT: put(read_index_line()); break;
    case Op::BINPUT: put(stream_.number<uint8_t>()); break;
    case Op::LONG_BINPUT: put(stream_.number<uint32_t>()); break;
    case Op::MEMOIZE: put(memo_entries_); break;
    case Op::GET: push(get(read_index_line())); break;
    case Op::BINGET: push(get(stream_.number<uint8_t>())); break;
    case Op::LONG_BINGET: push(get(stream_.number<uint32_t>())); break;
    default: execute_collection(op);
  }
}

void Machine::execute_collection(Op op) {
  switch (op) {
    case Op::EMPTY_LIST: push(make_container(NodeKind::list, {})); break;
    case Op::EMPTY_DICT: push(make_container(NodeKind::dict, {})); break;
    case Op::EMPTY_SET: push(make_container(NodeKind::set, {})); break;
    case Op::EMPTY_TUPLE: push(kEmptyTuple); break;
    case Op::LIST: push(make_container(NodeKind::list, pop_to_mark())); break;
    case Op::DICT: push(make_container(NodeKind::dict, pop_to_mark())); break;
    case Op::FROZENSET: push(make_container(NodeKind::set, pop_to_mark())); break;
    case Op::TUPLE: push(make_tuple(pop_to_mark())); break;
    case Op::TUPLE1: push(pop_tuple(1)); break;
    case Op::TUPLE2: push(pop_tuple(2)); break;
    case Op::TUPLE3: push(pop_tuple(3)); break;

    case Op::APPEND: {
      Handle item = pop();
      append({&item, 1}, top());
      break;
    }
    case Op::APPENDS: {
      std::span<const Handle> items = pop_to_mark();
      append(items, top());
      break;
    }
    case Op::SETITEM: {
      Handle value = pop(), key = pop();
      set_items(std::array{key, value}, top());
      break;
    }
    case Op::SETITEMS: {
      std::span<const Handle> pairs = pop_to_mark();
      set_items(pairs, top());
      break;
    }
    case Op::ADDITEMS: {
      std::span<const Handle> items = pop_to_mark();
      add_items(items, top());
      break;
    }
    default: execute_call(op);
  }
}

void Machine::execute_call(Op op) {
  switch (op) {
    case Op::GLOBAL: push(read_global()); break;
    case Op::STACK_GLOBAL: stack_global(); break;
    case Op::REDUCE: reduce(); break;
    case Op::INST: instance(); break;
    case Op::OBJ: object_of_class(); break;
    case Op::NEWOBJ: new_object(false); break;
    case Op::NEWOBJ_EX: new_object(true); break;
    case Op::BUILD: build(); break;
    case Op::EXT1: push_extension(stream_.number<uint8_t>()); break;
    case Op::EXT2: push_extension(stream_.number<uint16_t>()); break;
    case Op::EXT4: push_extension(stream_.number<int32_t>()); break;
    case Op::PERSID: push_persistent(make_text(bytes(stream_.line(limits_.line_bytes)))); break;
    case Op::BINPERSID: push_persistent(pop()); break;

    case Op::PROTO:
      if (auto protocol = stream_.number<uint8_t>(); protocol > 5)
        fail("PK01", fmt::format("protocol {} (at most 5)", protocol));
      break;
    case Op::FRAME: stream_.frame(stream_.number<uint64_t>()); break;
    case Op::STOP: break;
    case Op::NEXT_BUFFER: fail("PK09", "a file cannot contain out-of-band buffers"); break;
    case Op::READONLY_BUFFER: top(); break;
    default:
      throw Error(Code::malformed, "PK01", fmt::format("0x{:02x} is not an opcode", static_cast<unsigned>(op)),
          Where::at(opcode_offset_));
  }
}

Trace trace(Bytes stream, uint64_t first_byte, const ParseLimits& limits) {
  Trace trace;
  Machine machine(stream, first_byte, limits, &trace.divergence);
  try {
    machine.run();
  } catch (const Error& error) {
    trace.failure = error;
    trace.python_may_continue =
        error.code() == Code::limit ||
        std::ranges::find(kRulesThatPythonDoesNotEnforce, error.rule()) != kRulesThatPythonDoesNotEnforce.end();
  }
  trace.end_bytes = machine.position();
  trace.graph = machine.take_graph();
  return trace;
}

Pickle parse(Bytes stream, uint64_t first_byte, const ParseLimits& limits) {
  Machine machine(stream, first_byte, limits);
  machine.run();
  uint64_t end_bytes = machine.position();
  return {machine.take_graph(), end_bytes};
}

}  // namespace depickle::pickle
