#include "depickle/formats/pickle/machine.h"

#include <algorithm>
#include <array>
#include <bit>

#include <fmt/format.h>

#include "depickle/base/text.h"

namespace depickle::pickle {
namespace {

constexpr int64_t kSharedIntegers = 256;

// Python reads past the end of a frame, calls with any iterable as arguments, and stores items in objects of any class.
constexpr std::array<std::string_view, 3> kRulesThatPythonDoesNotEnforce = {"PK03", "PK06", "PK07"};

}  // namespace

Machine::Machine(Bytes stream, uint64_t first_byte, const Limits& limits)
    : limits_(limits),
      stream_(stream, first_byte),
      recent_integers_(256, kNothing) {
  graph_.add({.kind = Kind::none});
  graph_.add({.kind = Kind::boolean, .value = {.integer = 0}});
  graph_.add({.kind = Kind::boolean, .value = {.integer = 1}});
  graph_.add({.kind = Kind::tuple, .a = 0, .value = {.elements = nullptr}});
  for (int64_t i = 0; i < kSharedIntegers; ++i) graph_.add({.kind = Kind::integer, .value = {.integer = i}});
}

void Machine::fail(std::string_view rule, std::string what) const {
  throw Error(Code::malformed, rule, fmt::format("{}: {}", name(opcode_), what), Where::at(opcode_offset_));
}

void Machine::bound(uint64_t have, uint64_t most, std::string_view what) const {
  if (have >= most)
    throw Error(Code::limit, "PK10", fmt::format("more than {} {}", grouped(most), what), Where::at(opcode_offset_));
}

void Machine::run() {
  for (uint64_t count = 0;; ++count) {
    opcode_offset_ = stream_.offset();
    auto byte = stream_.opcode();
    opcode_ = static_cast<Op>(byte);
    bound(count, limits_.opcodes, "opcodes");
    if (opcode_ == Op::STOP) break;
    execute(opcode_);
  }
  graph_.root_ = pop();
  if (stream_.in_frame()) fail("PK03", "the pickle stops before its frame ends");
}

void Machine::push(Handle handle) {
  bound(stack_.size(), limits_.stack_items, "items on the stack");
  stack_.push_back(handle);
}

Handle Machine::pop() {
  if (stack_.size() <= fence()) fail("PK04", marks_.empty() ? "the stack is empty" : "nothing lies above the mark");
  Handle handle = stack_.back();
  stack_.pop_back();
  return handle;
}

Handle& Machine::top() {
  if (stack_.size() <= fence()) fail("PK04", marks_.empty() ? "the stack is empty" : "nothing lies above the mark");
  return stack_.back();
}

std::span<const Handle> Machine::pop_to_mark() {
  if (marks_.empty()) fail("PK04", "there is no mark");
  size_t begin = marks_.back();
  marks_.pop_back();
  std::span<const Handle> items(stack_.data() + begin, stack_.size() - begin);
  stack_.resize(begin);  // only shrinks: the items stay where they are
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
  bound(graph_.count_, limits_.nodes, "values");
  return graph_.add(node);
}

Handle Machine::make_integer(int64_t value) {
  if (value >= 0 && value < kSharedIntegers) return kFirstInteger + static_cast<Handle>(value);
  Handle& recent = recent_integers_[static_cast<uint64_t>(value) % recent_integers_.size()];
  if (recent == kNothing || graph_.integer(recent) != value)
    recent = make({.kind = Kind::integer, .value = {.integer = value}});
  return recent;
}

void Machine::put(uint64_t index) {
  Handle value = top();
  // Close to the rest: a vector. Far off: a map, so that one index near 2^32 takes no memory. What went to the map stays
  // there: an index with two places would be counted twice, and MEMOIZE counts.
  bool dense = index <= memo_entries_ * 4 + 1024 && (sparse_memo_.empty() || !sparse_memo_.contains(index));
  if (dense && index >= memo_.size()) memo_.resize(index + 1, kNothing);
  Handle* slot = dense ? &memo_[index] : &sparse_memo_.try_emplace(index, kNothing).first->second;
  if (*slot == kNothing) {
    bound(memo_entries_, limits_.memo_entries, "memo entries");
    ++memo_entries_;
  }
  *slot = value;
}

Handle Machine::get(uint64_t index) {
  if (index < memo_.size() && memo_[index] != kNothing) return memo_[index];
  auto found = sparse_memo_.find(index);
  if (found == sparse_memo_.end()) fail("PK08", fmt::format("memo entry {} was never put", index));
  return found->second;
}

Bytes Machine::counted(uint64_t length, uint64_t max_bytes) {
  Bytes taken = stream_.take(length);
  if (length > max_bytes)
    throw Error(Code::limit, "PK10", fmt::format("a str of {} bytes (at most {})", grouped(length), grouped(max_bytes)),
        Where::at(opcode_offset_));
  return taken;
}

void Machine::execute(Op op) {
  auto length_of = [&](int32_t length) {
    if (length < 0) fail("PK05", fmt::format("a length of {}", length));
    return static_cast<uint64_t>(length);
  };
  auto text_of = [&](uint64_t length) { push(make_text(counted(length, limits_.text_bytes))); };
  auto unicode_of = [&](uint64_t length) { push(make_unicode(counted(length, limits_.text_bytes))); };
  auto bytes_of = [&](uint64_t length) { push(make_bytes(stream_.take(length))); };
  auto mark_of = [&] { return pop_to_mark(); };
  auto extension = [&](int64_t code) {
    Handle handle = make({.kind = Kind::extension, .value = {.integer = code}});
    log(handle);
    push(handle);
  };
  auto persistent = [&](Handle id) {
    Handle handle = make({.kind = Kind::persistent, .a = id});
    log(handle);
    push(handle);
  };
  auto tuple_of = [&](size_t count) {
    if (stack_.size() < fence() + count) fail("PK04", fmt::format("needs {} items", count));
    Handle tuple = make_tuple(std::span<const Handle>(stack_).last(count));
    stack_.resize(stack_.size() - count);
    push(tuple);
  };

  switch (op) {
    case Op::PROTO:
      if (auto protocol = stream_.number<uint8_t>(); protocol > 5)
        fail("PK01", fmt::format("protocol {} (at most 5)", protocol));
      break;
    case Op::FRAME: stream_.frame(stream_.number<uint64_t>()); break;
    case Op::STOP: break;

    case Op::NONE: push(kNone); break;
    case Op::NEWTRUE: push(kTrue); break;
    case Op::NEWFALSE: push(kFalse); break;
    case Op::BININT: push(make_integer(stream_.number<int32_t>())); break;
    case Op::BININT1: push(make_integer(stream_.number<uint8_t>())); break;
    case Op::BININT2: push(make_integer(stream_.number<uint16_t>())); break;
    case Op::LONG1: push(integer_of_bytes(stream_.take(stream_.number<uint8_t>()))); break;
    case Op::LONG4: push(integer_of_bytes(stream_.take(length_of(stream_.number<int32_t>())))); break;
    case Op::INT: {
      std::string_view line = stream_.line(limits_.line_bytes);
      push(line == "00" ? kFalse : line == "01" ? kTrue : integer_of_line(line));
      break;
    }
    case Op::LONG: {
      std::string_view line = stream_.line(limits_.line_bytes);
      if (line.ends_with('L')) line.remove_suffix(1);
      push(integer_of_line(line));
      break;
    }
    case Op::FLOAT: push(real_of_line(stream_.line(limits_.line_bytes))); break;
    case Op::BINFLOAT:
      push(make({.kind = Kind::real,
          .value = {.real = std::bit_cast<double>(__builtin_bswap64(stream_.number<uint64_t>()))}}));
      break;

    case Op::STRING: push(make_decoded_text(decode_quoted(stream_.line(limits_.text_bytes)))); break;
    case Op::UNICODE: push(make_decoded_text(decode_raw_unicode_escape(stream_.line(limits_.text_bytes)))); break;
    case Op::BINSTRING: text_of(length_of(stream_.number<int32_t>())); break;
    case Op::SHORT_BINSTRING: text_of(stream_.number<uint8_t>()); break;
    case Op::SHORT_BINUNICODE: unicode_of(stream_.number<uint8_t>()); break;
    case Op::BINUNICODE: unicode_of(stream_.number<uint32_t>()); break;
    case Op::BINUNICODE8: unicode_of(stream_.number<uint64_t>()); break;
    case Op::BINBYTES: bytes_of(stream_.number<uint32_t>()); break;
    case Op::SHORT_BINBYTES: bytes_of(stream_.number<uint8_t>()); break;
    case Op::BINBYTES8:
    case Op::BYTEARRAY8: bytes_of(stream_.number<uint64_t>()); break;

    case Op::MARK:
      bound(marks_.size(), limits_.marks, "marks");
      marks_.push_back(stack_.size());
      break;
    case Op::POP: pop_item_or_mark(); break;
    case Op::POP_MARK: mark_of(); break;
    case Op::DUP: push(top()); break;

    case Op::EMPTY_LIST: push(make_container(Kind::list, {})); break;
    case Op::EMPTY_DICT: push(make_container(Kind::dict, {})); break;
    case Op::EMPTY_SET: push(make_container(Kind::set, {})); break;
    case Op::EMPTY_TUPLE: push(kEmptyTuple); break;
    case Op::LIST: push(make_container(Kind::list, mark_of())); break;
    case Op::DICT: push(make_container(Kind::dict, mark_of())); break;
    case Op::FROZENSET: push(make_container(Kind::set, mark_of())); break;
    case Op::TUPLE: push(make_tuple(mark_of())); break;
    case Op::TUPLE1: tuple_of(1); break;
    case Op::TUPLE2: tuple_of(2); break;
    case Op::TUPLE3: tuple_of(3); break;

    case Op::APPEND: {
      Handle item = pop();
      append({&item, 1}, top());
      break;
    }
    case Op::APPENDS: {
      std::span<const Handle> items = mark_of();
      append(items, top());
      break;
    }
    case Op::SETITEM: {
      Handle value = pop(), key = pop();
      std::array<Handle, 2> pair{key, value};
      set_items(pair, top());
      break;
    }
    case Op::SETITEMS: {
      std::span<const Handle> pairs = mark_of();
      set_items(pairs, top());
      break;
    }
    case Op::ADDITEMS: {
      std::span<const Handle> items = mark_of();
      add_items(items, top());
      break;
    }

    case Op::GLOBAL: {
      std::string_view module = stream_.line(limits_.line_bytes), global_name = stream_.line(limits_.line_bytes);
      push(make_global(module, global_name));
      break;
    }
    case Op::STACK_GLOBAL: stack_global(); break;
    case Op::REDUCE: reduce(); break;
    case Op::INST: {
      std::string_view module = stream_.line(limits_.line_bytes), global_name = stream_.line(limits_.line_bytes);
      Handle callable = make_global(module, global_name);
      push(make_object(callable, make_tuple(mark_of())));
      break;
    }
    case Op::OBJ: {
      std::span<const Handle> items = mark_of();
      if (items.empty()) fail("PK04", "there is no class above the mark");
      Handle callable = items[0];
      push(make_object(callable, make_tuple(items.subspan(1))));
      break;
    }
    case Op::NEWOBJ: new_object(false); break;
    case Op::NEWOBJ_EX: new_object(true); break;
    case Op::BUILD: {
      Handle state = pop();
      build(state, top());
      break;
    }
    case Op::EXT1: extension(stream_.number<uint8_t>()); break;
    case Op::EXT2: extension(stream_.number<uint16_t>()); break;
    case Op::EXT4: extension(stream_.number<int32_t>()); break;
    case Op::PERSID: persistent(make_text(bytes(stream_.line(limits_.line_bytes)))); break;
    case Op::BINPERSID: persistent(pop()); break;

    case Op::PUT: put(index_line()); break;
    case Op::BINPUT: put(stream_.number<uint8_t>()); break;
    case Op::LONG_BINPUT: put(stream_.number<uint32_t>()); break;
    case Op::MEMOIZE: put(memo_entries_); break;
    case Op::GET: push(get(index_line())); break;
    case Op::BINGET: push(get(stream_.number<uint8_t>())); break;
    case Op::LONG_BINGET: push(get(stream_.number<uint32_t>())); break;

    case Op::NEXT_BUFFER: fail("PK09", "out-of-band buffers cannot be in a file"); break;
    case Op::READONLY_BUFFER: top(); break;
    default:
      throw Error(Code::malformed, "PK01", fmt::format("0x{:02x} is no opcode", static_cast<unsigned>(op)),
          Where::at(opcode_offset_));
  }
}

Trace trace(Bytes stream, uint64_t first_byte, const Limits& limits) {
  Machine machine(stream, first_byte, limits);
  Trace trace;
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

Pickle parse(Bytes stream, uint64_t first_byte, const Limits& limits) {
  Machine machine(stream, first_byte, limits);
  machine.run();
  uint64_t end_bytes = machine.position();
  return {machine.take_graph(), end_bytes};
}

}  // namespace depickle::pickle
