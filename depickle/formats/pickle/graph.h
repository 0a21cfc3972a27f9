// What a pickle says, as a graph of symbols. Nothing in it was called, imported or built.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "depickle/base/arena.h"
#include "depickle/base/bytes.h"
#include "depickle/formats/pickle/opcode.h"

namespace depickle::pickle {

/// A value. Equal handles are the same Python object, so a list filled after it was memoised is filled wherever it is seen.
using Handle = uint32_t;
inline constexpr Handle kNothing = 0xffffffff;

enum class Kind : uint8_t {
  none,
  boolean,
  integer,
  big_integer,
  real,
  text,
  bytes,
  list,
  tuple,
  dict,
  set,
  global,      ///< module and name, not imported
  object,      ///< what a callable would have made of its arguments, not called
  persistent,  ///< a persistent id, not loaded
  extension,   ///< a code of the copyreg extension registry, not looked up
};

/// A name that the pickle would import.
struct Global {
  std::string_view module, name;
  uint64_t count;         ///< opcodes that named it
  uint64_t offset_bytes;  ///< of the first of them
};

/// An object that would have been made by calling `callable`.
struct Object {
  Op made_by;  ///< REDUCE, INST, OBJ, NEWOBJ or NEWOBJ_EX
  Handle callable;
  Handle args;                    ///< a tuple for all but a malformed REDUCE
  Handle kwargs = kNothing;       ///< of NEWOBJ_EX
  Handle state = kNothing;        ///< given by the last BUILD
  std::span<const Handle> items;  ///< given by APPEND(S) and ADDITEMS
  std::span<const Handle> pairs;  ///< key, value, key, value … given by SETITEM(S)
};

/// An opcode that makes the real unpickler call something, in the order of the stream: also for results that were dropped later.
struct Event {
  uint64_t offset_bytes : 56;
  uint64_t op_byte : 8;
  Handle node;  ///< what it made; for BUILD what it was applied to

  Op op() const noexcept { return static_cast<Op>(op_byte); }
};

/// The graph. It points into the pickle's bytes, which must outlive it. Cycles are legal: walk with care.
class Graph {
 public:
  Handle root() const noexcept { return root_; }
  size_t nodes() const noexcept { return count_; }

  Kind kind(Handle handle) const noexcept { return node(handle).kind; }
  /// The value of a boolean or an integer that fits; empty for everything else.
  std::optional<int64_t> integer(Handle handle) const noexcept;
  /// The value of a real.
  std::optional<double> real(Handle handle) const noexcept;
  /// A str, or a Python 2 str: then its bytes, whatever their encoding. Empty for everything else.
  std::optional<std::string_view> text(Handle handle) const noexcept;
  /// A bytes or bytearray; a big integer's decimal digits or two's complement bytes.
  std::optional<Bytes> bytes(Handle handle) const noexcept;
  /// Elements of a list, tuple or set; key, value, key, value … of a dict, in the order they were set, repeated keys too.
  std::span<const Handle> children(Handle handle) const noexcept;
  /// Elements of a tuple of exactly `count`; empty for everything else.
  std::span<const Handle> tuple(Handle handle, size_t count) const noexcept;
  /// Throws nothing; nullptr where the handle is no global.
  const Global* global(Handle handle) const noexcept;
  bool is_global(Handle handle, std::string_view module, std::string_view name) const noexcept;
  std::optional<Object> object(Handle handle) const noexcept;
  /// The opcode that made a bytes, a big integer or a set: BYTEARRAY8 or another, LONG1 or LONG4 (two's complement) or a line of
  /// digits, FROZENSET or another.
  Op made_by(Handle handle) const noexcept { return node(handle).made_by; }
  /// The id of a persistent.
  Handle persistent_id(Handle handle) const noexcept { return node(handle).a; }
  /// The code of an extension.
  int64_t extension_code(Handle handle) const noexcept { return node(handle).value.integer; }

  std::span<const Global> globals() const noexcept { return globals_; }
  std::span<const Event> events() const noexcept { return events_; }
  /// Pairs of a dict (or of an object's pairs) as Python would hold them: a repeated str or int key keeps its first place
  /// and takes its last value. O(n log n).
  std::vector<std::pair<Handle, Handle>> entries(std::span<const Handle> pairs) const;

 private:
  friend class Machine;

  struct Node {
    Kind kind;
    Op made_by{};  ///< of an object, bytes, a big integer, a container
    uint16_t unused = 0;
    uint32_t a =
        0;  ///< text: length; tuple: count; object: callable; list, dict, set: container; bytes: blob; global: index
    union Value {
      int64_t integer;
      double real;
      const char* characters;
      const Handle* elements;
      struct {
        uint32_t args, extra;
      } object;
    } value{};
  };
  static_assert(sizeof(Node) == 16);

  // What few objects have.
  struct Extra {
    Handle kwargs = kNothing, state = kNothing;
    std::vector<Handle> items, pairs;
  };

  static constexpr uint32_t kBlockNodes = 1 << 14;
  Node& node(Handle handle) const noexcept { return blocks_[handle / kBlockNodes][handle % kBlockNodes]; }
  Handle add(Node node);
  Extra& extra(Node& object);

  std::vector<Node*> blocks_;  ///< in arena_
  uint32_t count_ = 0;
  Handle root_ = kNothing;
  Arena arena_;  ///< nodes, decoded text, elements of tuples
  std::deque<std::vector<Handle>> containers_;
  std::deque<Extra> extras_;
  std::deque<Bytes> blobs_;
  std::vector<Global> globals_;
  std::map<std::pair<std::string_view, std::string_view>, uint32_t> global_index_;
  std::vector<Event> events_;
};

}  // namespace depickle::pickle
