#!/usr/bin/env python3
"""Writes the seed corpus: fuzz/corpus/TARGET/NAME, small files of every kind that the targets read.

Needs torch and numpy (build/venv). Every run writes the same files, except for torch's legacy files, whose keys are
addresses.

usage: make_corpus.py [FOLDER]   default: corpus beside this script
"""

import argparse
import collections
import io
import pathlib
import pickle
import struct
import sys
import tarfile
import zlib

import numpy
import torch

MAX_BYTES = 4096
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "python"))
sys.dont_write_bytecode = True
import pickles  # noqa: E402
import zips  # noqa: E402

from seed_headers import headers  # noqa: E402
from seed_server import commits, git_texts, messages, receipts, reports, uploads  # noqa: E402

# pickles


class Point:
    """A class of the author's own."""

    def __init__(self):
        self.x = 1


Point.__module__, Point.__qualname__ = "model", "Point"


def by_hand():
    text, integer, named, call, stream = pickles.text, pickles.integer, pickles.named, pickles.call, pickles.stream
    yield "every-number", stream(
        pickles.tuple_of(
            b"I01\n",
            b"I-4\n",
            b"L12345678901234567890123L\n",
            b"F1.5\n",
            b"G\x7f\xf8\0\0\0\0\0\1",
            b"M\1\2",
            integer(-5),
            b"\x8a\2\0\x80",
            b"\x8b\1\0\0\0\x80",
            b"\x88\x89N",
        ),
        5,
    )
    yield "every-text", stream(
        pickles.tuple_of(
            b"S'a\\x41\\n'\n",
            b"V\\u00e9\n",
            b"T\2\0\0\0ab",
            b"U\1c",
            text("d"),
            b"\x8c\1e",
            b"\x8d\1\0\0\0\0\0\0\0f",
            b"B\1\0\0\0g",
            b"C\1h",
            b"\x8e\1\0\0\0\0\0\0\0i",
            b"\x96\1\0\0\0\0\0\0\0j\x98",
        ),
        5,
    )
    yield "every-container", stream(b"(lp0\nK\1a(K\2K\3e0(d(K\4K\5u\x87q\2\x8f(K\6\x90(K\7\x91\x85\x94h\2\x86", 4)
    yield "every-call", stream(
        pickles.tuple_of(
            b"(imodel\nPoint\n",
            b"(" + named("model", "Point") + b"K\1o",
            named("model", "Point") + b")R",
            named("model", "Point") + b")\x81}b",
            named("model", "Point") + b")}\x92",
            text("model") + text("f") + b"\x93",
            b"\x82\1\x83\1\0\x84\1\0\0\0",
            b"P0\n",
            b"K\1Q",
        ),
        4,
    )
    yield "memo", stream(b"]q\0r\1\0\0\0p7\n\x94h\0j\1\0\0\0g7\n\x87\x87", 4)
    yield "cycle", stream(b"]q\0h\0a")
    yield "object-is-its-own-state", stream(named("model", "Point") + b")\x81q\0h\0b")
    yield "object-cycle", stream(named("model", "Point") + b")\x81q\0" + named("model", "Point") + b")\x81q\1h\0bb0h\0")
    yield "marks-and-pops", stream(b"((1K\1(012]00N")
    yield "repeated-keys", stream(b"}(" + text("a") + b"K\1" + text("b") + b"K\2" + text("a") + b"K\3K\1K\1\x88K\2u")
    yield "frames", b"\x80\x04\x95\x05\0\0\0\0\0\0\0]K\1aN\x95\x01\0\0\0\0\0\0\0."
    yield "frame-crossed", b"\x80\x04\x95\x03\0\0\0\0\0\0\0X\5\0\0\0abcde."
    yield "system", call("os", "system", text("true")) + b"."
    yield "computed-call", stream(call("builtins", "getattr", named("os", "path"), text("x")) + b")R")
    yield "no-stop", b"cos\nsystem\n(U\4trueR"
    yield "lying-length", b"\x80\x02X\xff\xff\xff\x7fab."
    yield "dup-bomb", stream(b"]" + b"2\x86" * 60)
    yield "deep", stream(b"]" * 300 + b"a" * 299)


def written():
    value = {
        "a": [1, -1, 2**40, 2**70, 1.5, None, True],
        "b": ("x", b"y", "\u00e9"),
        "c": {1, 2},
        "d": frozenset([3]),
        "e": bytearray(b"z"),
        5: collections.OrderedDict(k=1),
    }
    for protocol in range(6):
        yield f"python-{protocol}", pickle.dumps(value, protocol)
        yield f"object-{protocol}", pickle.dumps([numpy.float32(1), slice(1, 2), range(3)], protocol)


# torch


class Tiny(torch.nn.Module):
    """A whole module: its class is code."""

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Linear(2, 2)
        self.register_buffer("b", torch.arange(3), persistent=False)


Tiny.__module__, Tiny.__qualname__ = "model", "Tiny"


def checkpoints():
    base = torch.arange(12, dtype=torch.float32)
    yield "state-dict", collections.OrderedDict(w=base.view(3, 4), b=torch.tensor([1, 2]))
    yield "views", {
        "t": base.view(3, 4).t(),
        "e": base[:1].expand(3),
        "p": base[2:5],
        "s": base[::2],
        "whole": base,
        "z": base[:0],
        "n": torch.tensor(1.5, dtype=torch.float64),
    }
    yield "flags", {
        "c": torch.tensor([1 + 2j, 3j]).conj(),
        "n": torch.tensor([1 + 2j]).conj().imag,
        "h": base[:2].half(),
        "bf": base[:2].bfloat16(),
    }
    yield "small-dtypes", {
        "f8": base[:3].to(torch.float8_e4m3fn),
        "f4": torch.tensor([18, 52], dtype=torch.uint8).view(torch.float4_e2m1fn_x2),
        "o": torch.tensor([True]),
        "u": torch.tensor([7], dtype=torch.uint16),
    }
    yield "parameter", {"p": torch.nn.Parameter(base[:2]), "tied": torch.nn.Parameter(base[:2])}
    yield "training", {
        "state_dict": {"w": base[:2]},
        "optimizer": {"state": {0: {"m": base[:2]}}, "param_groups": [{"lr": 0.1}]},
        "epoch": 3,
    }
    yield "unsupported", {
        "q": torch.quantize_per_tensor(base[:2], 0.1, 0, torch.qint8),
        "s": base[:2].to_sparse(),
        "z": torch.tensor([1j], dtype=torch.complex128),
    }
    yield "two-models", {"model": {"w": base[:1]}, "net": {"w": base[:1]}}
    yield "list", [base[:2], {"x": (base[2:4], 1)}]
    yield "bare-tensor", base[:3]


def numpy_pickles():
    arrays = {
        "a": numpy.arange(6, dtype="<f4").reshape(2, 3),
        "big": numpy.array([1, 2], dtype=">i2"),
        "f": numpy.asfortranarray(numpy.arange(6).reshape(2, 3)),
        "s": numpy.float64(1),
        "o": numpy.array([None]),
    }
    for protocol in (2, 4, 5):
        yield f"numpy-{protocol}", pickle.dumps(arrays, protocol)
    yield "inline-storage", pickle.dumps({"t": torch.arange(3.0)}, 2)
    old = saved(torch.arange(2.0).untyped_storage(), _use_new_zipfile_serialization=False)
    yield "load-from-bytes", pickles.stream(
        pickles.call("torch.storage", "_load_from_bytes", b"B" + struct.pack("<I", len(old)) + old), 3
    )


def saved(value, **options):
    out = io.BytesIO()
    torch.save(value, out, **options)
    return out.getvalue()


def packed(file):
    """A torch zip packed again without torch's padding."""
    import zipfile

    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        return zips.archive(
            [
                zips.Entry(info.filename, archive.read(info))
                for info in archive.infolist()
                if not info.filename.endswith(("serialization_id", ".format_version", ".storage_alignment"))
            ]
        )


def containers():
    for name, value in checkpoints():
        yield f"zip-{name}", packed(saved(value))
        yield f"legacy-{name}", saved(value, _use_new_zipfile_serialization=False)
    yield "zip-as-written", saved({"w": torch.arange(2.0)})
    yield "zip-protocol-5", packed(saved({"w": torch.arange(2.0)}, pickle_protocol=5))
    yield "legacy-protocol-4", saved({"w": torch.arange(2.0)}, pickle_protocol=4, _use_new_zipfile_serialization=False)
    one = pickles.one_tensor()
    yield "zip-big-endian", zips.archive(
        [zips.Entry("m/data.pkl", one), zips.Entry("m/byteorder", b"big"), zips.Entry("m/data/0", bytes(range(24)))]
    )
    yield "zip-deflated", zips.archive(
        [zips.Entry("m/data.pkl", one, zips.DEFLATED), zips.Entry("m/data/0", bytes(24), zips.DEFLATED)]
    )
    yield "zip-system", zips.checkpoint(pickles.stream(pickles.call("os", "system", pickles.text("true"))), [])
    yield "zip-outside", zips.checkpoint(pickles.one_tensor(strides=(3, 2)), [bytes(24)])
    yield "zip-module", packed(saved_module())
    yield "tar", tar_checkpoint()
    yield "zip-lying-directory", zips.checkpoint(one, [bytes(24)], end={"entries": 1})


def tar_checkpoint():
    """As torch 0.1 wrote in 2016, without the empty blocks at the end."""
    integer, text, named, tuple_of, stream = (
        pickles.integer,
        pickles.text,
        pickles.named,
        pickles.tuple_of,
        pickles.stream,
    )
    members = {
        "storages": (
            stream(integer(1))
            + stream(tuple_of(integer(1), text("cpu"), named("torch", "FloatStorage")))
            + struct.pack("<q", 6)
            + bytes(range(24))
            + stream(b"]" + tuple_of(integer(2), integer(1), integer(1), integer(3)) + b"a")
        ),
        "tensors": (
            stream(integer(2))
            + stream(tuple_of(integer(10), integer(1), named("torch", "FloatTensor")))
            + struct.pack("<ii5q", 2, 0, 2, 3, 3, 1, 0)
            + stream(tuple_of(integer(11), integer(2), named("torch", "FloatTensor")))
            + struct.pack("<ii3q", 1, 0, 3, 1, 0)
        ),
        "pickle": stream(pickles.dict_of({"w": text("10") + b"Q", "v": text("11") + b"Q"})),
    }
    out = b""
    for name, data in members.items():
        info = tarfile.TarInfo(name)
        info.size = len(data)
        out += info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)
    return out


def saved_module():
    """A module whose class is found by name only while it is written."""
    import types

    module = types.ModuleType("model")
    module.Tiny = Tiny
    sys.modules["model"] = module
    return saved(Tiny())


# zip


def archives():
    entry, archive = zips.Entry, zips.archive
    two = [entry("a/b", b"one"), entry("a/c", b"two" * 20, zips.DEFLATED)]
    yield "two", archive(two)
    yield "comment", archive(two, comment=b"words")
    yield "folder", archive([entry("a/"), entry("a/b", b"x")])
    yield "descriptor", archive(
        [
            entry(
                "a",
                b"one" + struct.pack("<IIII", 0x08074B50, zlib.crc32(b"one"), 3, 3),
                local={"flags": 8, "crc": 0, "csize": 0, "usize": 0},
                central={"flags": 8, "crc": zlib.crc32(b"one"), "csize": 3, "usize": 3},
            )
        ]
    )
    yield "case", archive([entry("A", b"1"), entry("a", b"2")])
    yield "two-names", archive([entry("a", b"1", local={"name": "b"})])
    yield "overlap", archive([entry("a", b"1" * 50), entry("b", b"2", central={"offset": 0})])
    yield "gap", archive(two, between=b"gap")
    yield "bomb", archive([entry("a", bytes(200_000), zips.DEFLATED)])
    yield "wrong-size", archive([entry("a", b"abc", zips.DEFLATED, local={"usize": 5}, central={"usize": 5})])
    yield "encrypted", archive([entry("a", b"1", local={"flags": 1}, central={"flags": 1})])
    yield "climbing", archive([entry("a/../b", b"1")])
    yield "two-ends", archive(two) + archive(two)
    yield "truncated", archive(two)[:-30]
    yield "empty", archive([])
    yield "torch", saved({"w": torch.arange(2.0)})
    yield "zip64", zip64(b"a/data", b"content")


def zip64(name, data):
    """All sizes in the 64-bit forms."""
    crc, size, wide = zlib.crc32(data), len(data), 0xFFFFFFFF
    local = (
        struct.pack("<IHHHHHIIIHH", 0x04034B50, 45, 0, 0, 0, 0, crc, wide, wide, len(name), 20)
        + name
        + struct.pack("<HHQQ", 1, 16, size, size)
        + data
    )
    central = (
        struct.pack(
            "<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 45, 0, 0, 0, 0, crc, wide, wide, len(name), 28, 0, 0, 0, 0, wide
        )
        + name
        + struct.pack("<HHQQQ", 1, 24, size, size, 0)
    )
    end64 = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, 1, 1, len(central), len(local))
    locator = struct.pack("<IIQI", 0x07064B50, 0, len(local) + len(central), 1)
    return local + central + end64 + locator + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, wide, wide, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=HERE / "corpus")
    folder = parser.parse_args().folder
    torch.manual_seed(0)
    everything = {
        "header": [*headers()],
        "zip": [*archives()],
        "pickle": [*by_hand(), *written(), *numpy_pickles()],
        "torch": [*containers(), *numpy_pickles()],
        "receipt": [*receipts()],
        "wire": [*messages()],
        "commit": [*commits()],
        "xet": [*uploads()],
        "git_text": [*git_texts()],
        "report": [*reports()],
        "convert": [
            *containers(),
            *numpy_pickles(),
            *(seed for seed in headers() if seed[0] not in ("index-leaves-folder", "git-lfs")),
        ],
    }
    for target, seeds in everything.items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name, data in seeds:
            if len(data) > MAX_BYTES:
                raise SystemExit(f"{target}/{name} has {len(data)} bytes")
            (folder / target / name).write_bytes(data)


if __name__ == "__main__":
    main()
