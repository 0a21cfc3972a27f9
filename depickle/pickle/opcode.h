// The 68 opcodes of pickle protocols 0 to 5 (CPython Lib/pickletools.py; docs/formats/pickle.md).
#pragma once

#include <cstdint>
#include <string_view>

namespace depickle::pickle {

enum class Op : uint8_t {
  MARK = '(', STOP = '.', POP = '0', POP_MARK = '1', DUP = '2', FLOAT = 'F', BINFLOAT = 'G', INT = 'I', BININT = 'J', BININT1 = 'K', LONG = 'L',
  BININT2 = 'M', NONE = 'N', PERSID = 'P', BINPERSID = 'Q', REDUCE = 'R', STRING = 'S', BINSTRING = 'T', SHORT_BINSTRING = 'U', UNICODE = 'V',
  BINUNICODE = 'X', EMPTY_LIST = ']', EMPTY_DICT = '}', EMPTY_TUPLE = ')', APPEND = 'a', BUILD = 'b', GLOBAL = 'c', DICT = 'd', APPENDS = 'e',
  GET = 'g', BINGET = 'h', LONG_BINGET = 'j', INST = 'i', LIST = 'l', OBJ = 'o', PUT = 'p', BINPUT = 'q', LONG_BINPUT = 'r', SETITEM = 's',
  TUPLE = 't', SETITEMS = 'u', BINBYTES = 'B', SHORT_BINBYTES = 'C', PROTO = 0x80, NEWOBJ = 0x81, EXT1 = 0x82, EXT2 = 0x83, EXT4 = 0x84,
  TUPLE1 = 0x85, TUPLE2 = 0x86, TUPLE3 = 0x87, NEWTRUE = 0x88, NEWFALSE = 0x89, LONG1 = 0x8a, LONG4 = 0x8b, SHORT_BINUNICODE = 0x8c,
  BINUNICODE8 = 0x8d, BINBYTES8 = 0x8e, EMPTY_SET = 0x8f, ADDITEMS = 0x90, FROZENSET = 0x91, NEWOBJ_EX = 0x92, STACK_GLOBAL = 0x93, MEMOIZE = 0x94,
  FRAME = 0x95, BYTEARRAY8 = 0x96, NEXT_BUFFER = 0x97, READONLY_BUFFER = 0x98,
};

/// "REDUCE"; empty for a byte that is no opcode.
std::string_view name(Op op) noexcept;

}  // namespace depickle::pickle
