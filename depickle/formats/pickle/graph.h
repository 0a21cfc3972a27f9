// The content of a pickle as a graph of symbols. Nothing was imported, called or built.
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

/// A value. Equal handles are the same Python object: a list that is extended after PUT is extended at every GET.
using Handle = uint32_t;
inline constexpr Handle kNothing = 0xffffffff;  ///< no value

/// The type of a value.
enum class NodeKind : uint8_t {
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
  global,      ///< a module and a name, not imported
  object,      ///< the result of a call, not called
  persistent,  ///< a persistent id, not loaded
  extension,   ///< a code of the copyreg extension registry, not resolved
};

/// A name that Python would import.
struct Global {
  std::string_view module, name;
  uint64_t count;         ///< opcodes that name it
  uint64_t offset_bytes;  ///< of the first of these opcodes
};

/// The result of calling `callable`.
struct Object {
  Op made_by;  ///< REDUCE, INST, OBJ, NEWOBJ or NEWOBJ_EX
  Handle callable;
  Handle args;                    ///< a tuple, unless the opcode was refused with PK07
  Handle kwargs = kNothing;       ///< of NEWOBJ_EX
  Handle state = kNothing;        ///< set by the last BUILD
  std::span<const Handle> items;  ///< added by APPEND(S) and ADDITEMS
  std::span<const Handle> pairs;  ///< key, value, key, value … set by SETITEM(S)
};

/// An opcode that makes Python's unpickler call something. Recorded even if the result is dropped later.
struct Event {
  uint64_t offset_bytes : 56;
  uint64_t op_byte : 8;
  Handle node;  ///< the result; for BUILD its target

  Op op() const noexcept { return static_cast<Op>(op_byte); }
};

/// The values of one pickle. Points into the pickle's bytes, which must outlive it. The graph may contain cycles.
class Graph {
 public:
  Handle root() const noexcept { return root_; }
  size_t nodes() const noexcept { return count_; }

  NodeKind kind(Handle handle) const noexcept { return node(handle).kind; }
  /// Returns the value of a boolean or an integer of 64 bits; nullopt for other kinds.
  std::optional<int64_t> integer(Handle handle) const noexcept;
  /// Returns the value of a real; nullopt for other kinds.
  std::optional<double> real(Handle handle) const noexcept;
  /// Returns a str as UTF-8, or the bytes of a Python 2 str, whose encoding is unknown; nullopt for other kinds.
  std::optional<std::string_view> text(Handle handle) const noexcept;
  /// Returns the content of a bytes or bytearray, or the digits or two's complement bytes of a big integer; nullopt for
  /// other kinds.
  std::optional<Bytes> bytes(Handle handle) const noexcept;
  /// Returns the elements of a list, tuple or set; key, value, key, value … of a dict, in the order of the stream and
  /// with repeated keys. Empty for other kinds.
  std::span<const Handle> children(Handle handle) const noexcept;
  /// Returns the elements of a tuple of exactly `count` elements; empty for other values.
  std::span<const Handle> tuple(Handle handle, size_t count) const noexcept;
  /// Returns nullptr if the value is not a global.
  const Global* global(Handle handle) const noexcept;
  bool is_global(Handle handle, std::string_view module, std::string_view name) const noexcept;
  std::optional<Object> object(Handle handle) const noexcept;
  /// Returns the opcode that created an object, a bytes, a big integer or a container. It distinguishes a bytearray
  /// (BYTEARRAY8) from bytes, two's complement (LONG1, LONG4) from digits, and a frozenset (FROZENSET) from a set.
  Op made_by(Handle handle) const noexcept { return node(handle).made_by; }
  /// Returns the argument of a persistent id.
  Handle persistent_id(Handle handle) const noexcept { return node(handle).a; }
  /// Returns the code of an extension.
  int64_t extension_code(Handle handle) const noexcept { return node(handle).value.integer; }

  std::span<const Global> globals() const noexcept { return globals_; }
  /// Returns every call, in the order of the stream.
  std::span<const Event> events() const noexcept { return events_; }
  /// Returns the entries of a dict, or of an object's pairs, as Python would store them: a repeated str or int key
  /// keeps its first position and takes its last value. O(n log n).
  std::vector<std::pair<Handle, Handle>> entries(std::span<const Handle> pairs) const;

 private:
  friend class Machine;

  struct Node {
    NodeKind kind;
    Op made_by{};  ///< of an object, bytes, a big integer, a container
    uint16_t unused = 0;
    /// text: length; tuple: count; object: callable; persistent: its id. An index into `containers_` (list, dict, set),
    /// `blobs_` (bytes, big integer) or `globals_`.
    uint32_t a = 0;
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

  // Fields that few objects have.
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
