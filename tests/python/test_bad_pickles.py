"""Pickles with wrong tensors, wrong sizes or broken opcodes: refused quickly and with little memory."""
import struct

import pytest
import torch

import pickles
import zips
from pickles import call, dict_of, integer, storage, stream, tensor, text
from program import COULD_NOT, NO, SANITIZED, YES, assert_not_converted, inspect, run, verdict

pytestmark = pytest.mark.hostile

DATA = struct.pack("<6f", *range(6))
# Stops bombs early: one GiB of address space. Sanitizers need more.
LIMIT = [] if SANITIZED else ["prlimit", f"--as={1 << 30}"]
MANY = 100_000 if SANITIZED else 1_000_000  # sanitizers are slow


def write(folder, pickle, *storages):
    path = folder / "model.bin"
    path.write_bytes(zips.checkpoint(pickle, storages or [DATA]))
    return path


def over_storage_0(shape, strides, offset=0, numel=6):
    return pickles.one_tensor(numel, shape, strides, offset)


HUGE = 2**62
GEOMETRY = {
    "offset past the end": over_storage_0([2], [1], offset=5),
    "offset far past the end": over_storage_0([1], [1], offset=HUGE),
    "negative offset": over_storage_0([1], [1], offset=-1),
    "shape past the end": over_storage_0([7], [1]),
    "stride past the end": over_storage_0([2, 2], [5, 1]),
    "negative stride": over_storage_0([3], [-1], offset=5),
    "negative size": over_storage_0([-1], [1]),
    "sizes that overflow": over_storage_0([2**32, 2**32], [0, 0]),
    "strides that overflow": over_storage_0([3, 3], [HUGE, HUGE]),
    "offset and strides that wrap around": over_storage_0([2], [2**63 - 1], offset=1),
    "size beyond 64 bits": over_storage_0([2**80], [1]),
    "more sizes than strides": over_storage_0([2, 3], [1]),
    "more strides than sizes": over_storage_0([2], [3, 1]),
    "rank 100": over_storage_0([1] * 100, [1] * 100),
    "storage longer than its record": over_storage_0([6], [1], numel=64),
    "storage shorter than its record": over_storage_0([2], [1], numel=2),
    "negative storage": over_storage_0([1], [1], numel=-6),
    "storage of 2^62 elements": over_storage_0([6], [1], numel=HUGE),
    "size of the wrong kind": stream(dict_of({"w": tensor(storage("0", 6), [2], [1]).replace(integer(6), text("6"))})),
    "storage class unknown": pickles.one_tensor(storage_class="NoStorage"),
    "key with a slash": stream(dict_of({"w": tensor(storage("../data/0", 6), [6], [1])})),
    "one key, two sizes": stream(
        dict_of(
            {
                "a": tensor(storage("0", 6), [6], [1]),
                "b": tensor(storage("0", 3, "DoubleStorage"), [2], [1]),
                "c": tensor(storage("0", 5), [2], [1]),
            }
        )
    ),
    "one key, two classes": stream(
        dict_of({"a": tensor(storage("0", 6), [6], [1]), "b": tensor(storage("0", 6, "IntStorage"), [6], [1])})
    ),
    "tensor over no storage": stream(dict_of({"w": tensor(text("0"), [1], [1])})),
}


@pytest.mark.parametrize("pickle", GEOMETRY.values(), ids=GEOMETRY)
def test_a_tensor_that_leaves_its_storage_is_refused(pickle, tmp_path):
    path = write(tmp_path, pickle)
    assert_not_converted(path)
    assert run("inspect", path).code == COULD_NOT


def test_a_small_storage_cannot_become_a_huge_tensor(tmp_path):
    path = write(tmp_path, over_storage_0([10**12], [0]))
    assert_not_converted(path, '"w"')
    assert_not_converted(write(tmp_path, over_storage_0([2**20, 2**20], [0, 1])))


def test_an_expansion_of_ordinary_size_is_allowed(tmp_path):
    path = write(tmp_path, over_storage_0([1000, 6], [0, 1]))
    assert run("convert", path, "-o", tmp_path / "out.safetensors").code == YES


def doubling(opcodes, levels):
    """Returns nested pairs that share elements, made with DUP or the memo: 2^levels leaves in a few bytes."""
    if opcodes == "DUP":
        return b"K\x01" + b"2\x86" * levels
    put_and_get = [(b"r" + struct.pack("<I", n), b"j" + struct.pack("<I", n)) for n in range(levels)]
    if opcodes == "memo":
        return b"K\x01" + b"".join(put + get + b"\x86" for put, get in put_and_get)
    return b"}" + b"".join(put + b"0}(" + text("a") + get + text("b") + get + b"u" for put, get in put_and_get)


REBUILD = pickles.named("torch._tensor", "_rebuild_from_type_v2")


def with_tensor(bomb):
    return stream(dict_of({"w": tensor(storage("0", 6), [6], [1]), "bomb": bomb}))


BOMBS = {
    "DUP": with_tensor(doubling("DUP", 5000)),
    "memo": with_tensor(doubling("memo", 5000)),
    "dict": with_tensor(doubling("dict", 60)),
    "as the arguments of a call": with_tensor(call("collections", "OrderedDict", doubling("DUP", 1000))),
    "nested tuples": with_tensor(b"K\x01" + b"\x85" * MANY),
    "nested lists": with_tensor(b"]" * (MANY // 2) + b"a" * (MANY // 2 - 1)),
    "marks": with_tensor(b"(" * (5 * MANY)),
    "marks that close": with_tensor(b"(" * MANY + b"t" * MANY),
    "dict in itself": with_tensor(b"}q\x00" + text("self") + b"h\x00s"),
    "list in itself": with_tensor(b"]q\x00h\x00a"),
    "memo index 2^32 - 1": with_tensor(b"N" + b"r\xff\xff\xff\xff"),
    "sparse memo indices": with_tensor(b"N" + b"".join(b"r" + struct.pack("<I", n << 16) for n in range(60_000))),
    "integer of 10^6 digits": with_tensor(b"L" + b"9" * 1_000_000 + b"L\n"),
    "call of a call of a call": with_tensor(b"cbuiltins\nlist\n" + b")R" * (MANY // 3)),
    "a tuple of Nones": with_tensor(b"(" + b"N" * (2 * MANY) + b"t"),
    "builders that build builders": with_tensor(
        (REBUILD + b"(" + REBUILD + b"N(") * (MANY // 50) + b"N" + b"tNtR" * (MANY // 50)
    ),
}


@pytest.mark.parametrize("pickle", BOMBS.values(), ids=BOMBS)
def test_a_bomb_costs_little_time_and_memory(pickle, tmp_path):
    """It is refused or read correctly, in seconds and within one GiB, and never crashes."""
    path = write(tmp_path, pickle)
    for arguments in (
        ["scan", path],
        ["inspect", path, "--json"],
        ["inspect", path, "--json", "--root", "."],
        ["convert", path, "-o", tmp_path / "out.safetensors"],
    ):
        done = run(*arguments, prefix=LIMIT, timeout=60)
        # scan: a call of a computed value is code.
        assert done.code in (YES, COULD_NOT) or (arguments[0] == "scan" and done.code == NO), done.err
        assert "bad_alloc" not in done.err and "memory" not in done.err


BROKEN = {
    "text longer than the file": b"\x80\x02X\xff\xff\xff\xff",
    "text of 2^63 bytes": b"\x80\x04\x8d" + struct.pack("<Q", 2**63) + b"a.",
    "bytes of 2^64 - 1": b"\x80\x04\x8e" + b"\xff" * 8 + b".",
    "bytearray of 2^62": b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b".",
    "long of 2^31 - 1 bytes": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "long of a negative size": b"\x80\x02\x8b\xff\xff\xff\xff.",
    "string of a negative size": b"\x80\x02T\xff\xff\xff\xff.",
    "line without an end": b"\x80\x02ctorch",
    "no STOP": b"\x80\x02}",
    "nothing on the stack": b"\x80\x02.",
    "APPEND on a number": b"\x80\x02K\x01K\x02a.",
    "SETITEMS of an odd count": b"\x80\x02}(K\x01u.",
    "POP of nothing": b"\x80\x020.",
    "no MARK": b"\x80\x02K\x01t.",
    "memo entry that does not exist": b"\x80\x02h\x07.",
    "unknown opcode": b"\x80\x02\xff.",
    "protocol 6": b"\x80\x06}.",
    "out-of-band buffer": b"\x80\x05\x97.",
    "STACK_GLOBAL of numbers": b"\x80\x04K\x01K\x02\x93.",
    "persistent id of an unknown kind": stream(text("0") + b"Q"),
    "frame longer than the file": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"}.",
    "frame that ends inside an opcode": b"\x80\x04\x95" + struct.pack("<Q", 3) + b"}\x8c\x04name\x4b\x01s.",
    "frame inside a frame": b"\x80\x04\x95" + struct.pack("<Q", 12) + b"}\x95" + struct.pack("<Q", 1) + b"N0.",
    "text that is not UTF-8": stream(dict_of({"w": text(b"\xff\xfe")})),
}


@pytest.mark.parametrize("pickle", BROKEN.values(), ids=BROKEN)
def test_a_pickle_that_breaks_a_rule_is_refused(pickle, tmp_path):
    path = write(tmp_path, pickle)
    assert_not_converted(path)
    assert verdict(path) == "unreadable"


def test_a_tensor_called_metadata_is_refused(tmp_path):
    assert_not_converted(write(tmp_path, pickles.one_tensor(name="__metadata__")), "__metadata__")


def test_any_other_call_is_kept_as_data(tmp_path):
    """convert is safe for any global; the tensors around a call are converted, and nothing is called."""
    target = tmp_path / "called"
    evil = call("posix", "system", text(f"touch {target}"))
    path = write(tmp_path, stream(dict_of({"w": tensor(storage("0", 6), [6], [1]), "evil": evil})))
    assert run("convert", path, "-o", tmp_path / "out.safetensors").code == YES
    assert [entry["name"] for entry in inspect(path)["tensors"]] == ["w"]
    assert verdict(path) == "has-code" and not target.exists()


def test_a_dicts_attributes_are_not_its_items(tmp_path):
    """BUILD on an OrderedDict sets the attribute `_metadata`, as in nn.Module.state_dict()."""
    ordered = torch.nn.Linear(2, 2).state_dict()
    assert "_metadata" in vars(ordered)
    torch.save(ordered, tmp_path / "model.pt")
    assert [entry["name"] for entry in inspect(tmp_path / "model.pt")["tensors"]] == ["weight", "bias"]
