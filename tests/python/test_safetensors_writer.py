"""depickle writes the same bytes as safetensors.torch.save_file."""

import json
import random

import pytest
import safetensors
import torch
from safetensors.torch import load_file, save_file

from safetensors_verdict import ask

pytestmark = pytest.mark.hostile

DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E8M0": torch.float8_e8m0fnu,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "I16": torch.int16,
    "U16": torch.uint16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I32": torch.int32,
    "U32": torch.uint32,
    "F32": torch.float32,
    "C64": torch.complex64,
    "F64": torch.float64,
    "I64": torch.int64,
    "U64": torch.uint64,
    "F4": torch.float4_e2m1fn_x2,
}
ODD_NAMES = [
    "",
    " ",
    'a"b',
    "a\\b",
    "a/b",
    "tab\t",
    "line\n",
    "\b\f\r",
    "nul\0",
    "\x01\x1f\x7f",
    "é",
    "😀",
    "\u2028",
    "\ufeff",
    "__metadata__ ",
    "dtype",
    "a" * 300,
]


def random_tensor(dtype, shape, chance):
    """Returns (tensor, logical shape, bytes). An element of F4 has 4 bits; torch counts pairs of them."""
    count = 1
    for dimension in shape:
        count *= dimension
    size = torch.empty(0, dtype=DTYPES[dtype]).element_size()
    data = bytes(chance.randrange(2) if dtype == "BOOL" else chance.randrange(256) for _ in range(count * size))
    flat = torch.frombuffer(bytearray(data), dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)
    tensor = flat.view(DTYPES[dtype]).reshape(shape)
    return tensor, [*shape[:-1], shape[-1] * 2] if dtype == "F4" else shape, data


def request(target, tensors, metadata=None, align=8):
    return {
        "target": str(target),
        "metadata": metadata,
        "align": align,
        "tensors": [
            {"name": name, "dtype": dtype, "shape": shape, "hex": data.hex()}
            for name, (dtype, shape, data) in tensors.items()
        ],
    }


def written(tmp_path, tensors, metadata=None, align=8):
    path = tmp_path / "ours.safetensors"
    (answer,) = ask("write", [request(path, tensors, metadata, align)])
    assert answer["accept"], answer
    return path.read_bytes()


def both(tmp_path, named, metadata=None):
    """Returns the bytes of our file and of the real one. `named` is {name: (dtype, shape)}."""
    chance = random.Random(1)
    ours, real = {}, {}
    for name, (dtype, shape) in named.items():
        real[name], logical, data = random_tensor(dtype, shape, chance)
        ours[name] = dtype, logical, data
    save_file(real, tmp_path / "real.safetensors", metadata)
    return written(tmp_path, ours, metadata), (tmp_path / "real.safetensors").read_bytes()


def test_every_dtype(tmp_path):
    ours, real = both(tmp_path, {f"t.{dtype}": (dtype, [3, 5]) for dtype in DTYPES}, {"format": "pt"})
    assert ours == real


@pytest.mark.parametrize("dtype", DTYPES)
def test_each_dtype_alone(tmp_path, dtype):
    ours, real = both(tmp_path, {"w": (dtype, [7])})
    assert ours == real


def test_scalars_and_empty_tensors(tmp_path):
    ours, real = both(
        tmp_path,
        {
            "scalar": ("F32", []),
            "empty": ("F32", [0]),
            "none": ("I64", [2, 0, 3]),
            "b.empty": ("BOOL", [0]),
            "w": ("F16", [1, 1, 1, 1, 1]),
        },
    )
    # Empty tensors at the same offset are sorted by name, like all others.
    assert ours == real


def test_odd_names(tmp_path):
    ours, real = both(tmp_path, {name: ("U8", [3]) for name in ODD_NAMES}, {'ké\n"': "😀\\\0"})
    assert ours == real


def test_names_are_sorted_by_bytes(tmp_path):
    names = ["Z", "a", "é", "\uffff", "😀", "a.10", "a.2", "a.", "A"]
    ours, real = both(tmp_path, {name: ("F32", [1]) for name in names})
    assert ours == real


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}])
def test_metadata(tmp_path, metadata):
    ours, real = both(tmp_path, {"w": ("F32", [2])}, metadata)
    assert ours == real


def test_no_tensors(tmp_path):
    ours, real = both(tmp_path, {})
    assert ours == real


def test_no_tensors_and_empty_metadata_can_be_read_back(tmp_path):
    # The real library writes `{},"__metadata__":{}}` here, which it cannot read.
    assert written(tmp_path, {}, {})[8:].rstrip() == b'{"__metadata__":{}}'
    assert load_file(tmp_path / "ours.safetensors") == {}


def test_random_tables(tmp_path):
    chance = random.Random(7)
    for _ in range(30):
        names = chance.sample(ODD_NAMES + [f"layer.{k}.weight" for k in range(40)], chance.randrange(12))
        named = {
            name: (chance.choice(list(DTYPES)), [chance.randrange(5) for _ in range(chance.randrange(1, 4))])
            for name in names
        }
        ours, real = both(tmp_path, named, chance.choice([{"format": "pt"}, {"a": "b"}, None]))
        assert ours == real, named


def test_metadata_is_sorted_and_files_are_reproducible(tmp_path):
    metadata = {k: k for k in "zebra"}
    first = written(tmp_path, {"w": ("U8", [1], b"x")}, metadata)
    assert first == written(tmp_path, {"w": ("U8", [1], b"x")}, dict(reversed(metadata.items())))
    header = json.loads(first[8 : 8 + int.from_bytes(first[:8], "little")])
    assert list(header["__metadata__"]) == sorted(metadata)
    with safetensors.safe_open(tmp_path / "ours.safetensors", framework="pt") as file:
        assert file.metadata() == metadata


@pytest.mark.parametrize("align", [8, 64, 4096])
def test_the_data_section_begins_aligned(tmp_path, align):
    for length in range(20):
        content = written(tmp_path, {"n" * length: ("F32", [2], bytes(range(8)))}, align=align)
        begin = 8 + int.from_bytes(content[:8], "little")
        assert begin % align == 0 and content[begin:] == bytes(range(8))
        assert torch.equal(
            load_file(tmp_path / "ours.safetensors")["n" * length].view(torch.uint8), torch.arange(8, dtype=torch.uint8)
        )


def test_six_bit_dtypes(tmp_path):
    content = written(tmp_path, {"a": ("F6_E2M3", [4], b"abc"), "b": ("F6_E3M2", [2, 4], b"defghi")})
    assert [name for name, _ in sorted(safetensors.deserialize(content))] == ["a", "b"]
    assert content.endswith(b"defghiabc")


def test_a_table_that_no_reader_accepts_is_not_written(tmp_path):
    def rule(tensors):
        (answer,) = ask("write", [request(tmp_path / "x", tensors)])
        assert not (tmp_path / "x").exists()
        return answer["rule"]

    assert rule({"__metadata__": ("U8", [1], b"x")}) == "ST24"
    assert rule({"w": ("F4", [3], b"xx")}) == "ST14"
    assert rule({"w": ("F32", [1 << 62], b"")}) == "ST13"
    assert rule({"w": ("F32", [2], b"1234")}) == "ST16"
