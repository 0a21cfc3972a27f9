// The symbolic virtual machine. Private to the module; parse.h is the way in.
#pragma once

#include <string>
#include <unordered_map>

#include "depickle/formats/pickle/parse.h"
#include "depickle/formats/pickle/stream.h"

namespace depickle::pickle {

// Values that every graph begins with, so that they cost no node each time.
constexpr Handle kNone = 0, kFalse = 1, kTrue = 2, kEmptyTuple = 3, kFirstInteger = 4;

/// Runs one pickle into a graph. Operands come from the machine's own stack and memo, as in the real unpickler, so what a
/// REDUCE or STACK_GLOBAL names is what it would really get, whatever opcodes carried it there.
class Machine {
 public:
  Machine(Bytes stream, uint64_t first_byte, const Limits& limits);

  /// Until STOP. Throws Error; the graph so far stays.
  void run();

  Graph take_graph() { return std::move(graph_); }
  uint64_t position() const noexcept { return stream_.position(); }

 private:
  using Node = Graph::Node;

  /// Carries out one opcode.
  void execute(Op op);

  // The stack.
  void push(Handle handle);
  Handle pop();
  Handle& top();
  size_t fence() const noexcept { return marks_.empty() ? 0 : marks_.back(); }
  /// The items above the last mark, which is removed. They stay valid until the next push.
  std::span<const Handle> pop_to_mark();
  void pop_item_or_mark();

  // Values.
  Handle make(Node node);
  Handle make_integer(int64_t value);
  Handle make_big_integer(Bytes representation);
  Handle make_text(Bytes bytes);
  Handle make_unicode(Bytes utf8);
  Handle make_decoded_text(const std::string& text);
  Handle make_bytes(Bytes bytes);
  Handle make_tuple(std::span<const Handle> items);
  Handle make_container(Kind kind, std::span<const Handle> items);
  Handle make_global(std::string_view module, std::string_view name);
  Handle make_object(Handle callable, Handle args, Handle kwargs = kNothing);
  Handle integer_of_line(std::string_view line);
  Handle integer_of_bytes(Bytes little_endian);
  Handle real_of_line(std::string_view line);

  // Opcodes that do more than push.
  void append(std::span<const Handle> items, Handle target);
  void set_items(std::span<const Handle> pairs, Handle target);
  void add_items(std::span<const Handle> items, Handle target);
  void build(Handle state, Handle target);
  void stack_global();
  void reduce();
  void new_object(bool with_kwargs);
  void put(uint64_t index);
  Handle get(uint64_t index);
  void log(Handle node);
  std::vector<Handle>& container(Handle handle);

  /// The line of an opcode with a decimal index.
  uint64_t index_line();
  Bytes counted(uint64_t length, uint64_t max_bytes);

  [[noreturn]] void fail(std::string_view rule, std::string what) const;
  void bound(uint64_t have, uint64_t most, std::string_view what) const;

  const Limits& limits_;
  Stream stream_;
  Graph graph_;
  std::vector<Handle> stack_;
  std::vector<size_t> marks_;
  std::vector<Handle> memo_;                          ///< by index, kNothing where unset
  std::unordered_map<uint64_t, Handle> sparse_memo_;  ///< indices far beyond the rest
  uint64_t memo_entries_ = 0;
  std::vector<Handle> recent_integers_;  ///< by low bits of the value: dimensions repeat
  uint64_t opcode_offset_ = 0;
  Op opcode_{};
};

}  // namespace depickle::pickle
