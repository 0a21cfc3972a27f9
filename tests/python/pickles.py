"""Makes pickles opcode by opcode. Each function returns the opcodes that push one value."""
import struct


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value):
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -2**31 <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes((value.bit_length() + 8) // 8, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def tuple_of(*values):
    return b"(" + b"".join(values) + b"t"


def integers(values):
    return tuple_of(*map(integer, values))


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def call(module, name, *arguments):
    return named(module, name) + tuple_of(*arguments) + b"R"


def storage(key, numel, storage_class="FloatStorage"):
    return tuple_of(text("storage"), named("torch", storage_class), text(key), text("cpu"), integer(numel)) + b"Q"


def tensor(stored, shape, strides, offset=0):
    return call(
        "torch._utils",
        "_rebuild_tensor_v2",
        stored,
        integer(offset),
        integers(shape),
        integers(strides),
        b"\x89",
        call("collections", "OrderedDict"),
    )


def dict_of(items):
    return b"}(" + b"".join(text(name) + value for name, value in items.items()) + b"u"


def stream(value, protocol=2):
    return b"\x80" + bytes([protocol]) + value + b"."


def one_tensor(numel=6, shape=(2, 3), strides=(3, 1), offset=0, storage_class="FloatStorage", name="w"):
    """Returns a state dict of one tensor in data/0."""
    return stream(dict_of({name: tensor(storage("0", numel, storage_class), shape, strides, offset)}))
