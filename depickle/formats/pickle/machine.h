// The stack machine of pickle, over symbols. Private to the module; its interface is parse.h.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "depickle/formats/pickle/parse.h"
#include "depickle/formats/pickle/stream.h"

namespace depickle::pickle {

// Every graph begins with these values, which are shared.
constexpr Handle kNone = 0, kFalse = 1, kTrue = 2, kEmptyTuple = 3, kFirstInteger = 4;

/// Reads one pickle into a graph. The stack, the marks and the memo work as in Python's unpickler, so the operands of
/// REDUCE or STACK_GLOBAL are those that Python would use.
class Machine {
 public:
  /// `divergence`: see Stream.
  Machine(Bytes stream, uint64_t first_byte, const ParseLimits& limits, std::optional<Error>* divergence = nullptr);

  /// Executes the opcodes up to STOP. Throws Error; the graph then contains everything before the error.
  void run();

  Graph take_graph() { return std::move(graph_); }
  uint64_t position() const noexcept { return stream_.position(); }

 private:
  using Node = Graph::Node;

  // One opcode. Each function handles one group of opcodes and passes the others to the next function.
  void execute(Op op);             ///< constants, numbers, texts, bytes
  void execute_on_stack(Op op);    ///< the stack, marks and the memo
  void execute_collection(Op op);  ///< creates and fills lists, tuples, dicts and sets
  void execute_call(Op op);        ///< globals, calls, persistent ids and everything else

  // The stack.
  void push(Handle handle);
  Handle pop();
  Handle& top();
  /// The number of items below the last mark.
  size_t stack_base() const noexcept { return marks_.empty() ? 0 : marks_.back(); }
  /// Removes the last mark and the items above it. Returns the items; they are valid until the next push.
  std::span<const Handle> pop_to_mark();
  void pop_item_or_mark();

  // Values.
  Handle make(Node node);
  Handle make_integer(int64_t value);
  Handle make_real(double value);
  Handle make_big_integer(Bytes representation);
  Handle make_text(Bytes bytes);
  Handle make_unicode(Bytes utf8);
  Handle make_decoded_text(const std::string& text);
  Handle make_bytes(Bytes bytes);
  Handle make_tuple(std::span<const Handle> items);
  Handle pop_tuple(size_t count);
  Handle make_container(NodeKind kind, std::span<const Handle> items);
  Handle make_global(std::string_view module, std::string_view name);
  Handle make_object(Handle callable, Handle args, Handle kwargs = kNothing);
  void push_persistent(Handle id);
  void push_extension(int64_t code);
  Handle integer_of_line(std::string_view line);
  Handle integer_or_boolean_of_line(std::string_view line);
  Handle long_of_line(std::string_view line);
  Handle integer_of_bytes(Bytes little_endian);
  Handle real_of_line(std::string_view line);

  // Changes to values and to the memo.
  void append(std::span<const Handle> items, Handle target);
  void set_items(std::span<const Handle> pairs, Handle target);
  void add_items(std::span<const Handle> items, Handle target);
  void build();
  void stack_global();
  void reduce();
  void new_object(bool with_kwargs);
  void instance();
  void object_of_class();
  Handle read_global();
  void put(uint64_t index);
  Handle get(uint64_t index);
  /// Records a call.
  void log(Handle node);
  std::vector<Handle>& container(Handle handle);

  // Arguments.
  uint64_t read_index_line();
  /// Reads a signed length of 4 bytes.
  uint64_t read_length();
  Bytes read_text(uint64_t length);

  [[noreturn]] void fail(std::string_view rule, std::string what) const;
  /// Throws Error{limit} (PK10) if `count` has reached `max`.
  void check_limit(uint64_t count, uint64_t max, std::string_view what) const;

  const ParseLimits& limits_;
  Stream stream_;
  Graph graph_;
  std::vector<Handle> stack_;
  std::vector<size_t> marks_;
  std::vector<Handle> memo_;                ///< by index; kNothing if unset
  std::map<uint64_t, Handle> sparse_memo_;  ///< entries with large indices; not hashed: a file chooses the indices
  uint64_t memo_entries_ = 0;
  std::vector<Handle> recent_integers_;  ///< by the low bits of the value; dimensions repeat
  uint64_t opcode_offset_ = 0;
  Op opcode_{};
};

}  // namespace depickle::pickle
