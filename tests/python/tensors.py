"""Reads tensors with real torch and the real safetensors, and compares them bit for bit."""
import ctypes
import json

import torch
from safetensors import safe_open

from program import YES, run

# The dtypes of torch that safetensors can store.
NAMES = {
    torch.bool: "BOOL", torch.uint8: "U8", torch.int8: "I8", torch.int16: "I16", torch.uint16: "U16",
    torch.int32: "I32", torch.uint32: "U32", torch.int64: "I64", torch.uint64: "U64", torch.float16: "F16",
    torch.bfloat16: "BF16", torch.float32: "F32", torch.float64: "F64", torch.complex64: "C64",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2", torch.float8_e4m3fnuz: "F8_E4M3FNUZ",
    torch.float8_e5m2fnuz: "F8_E5M2FNUZ", torch.float8_e8m0fnu: "F8_E8M0", torch.float4_e2m1fn_x2: "F4",
}


def raw(tensor):
    """Returns the elements in C order, little-endian, with conjugation and negation applied."""
    tensor = tensor.detach().resolve_conj().resolve_neg().contiguous()
    return ctypes.string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size()) if tensor.numel() else b""


def header(path):
    with open(path, "rb") as file:
        return json.loads(file.read(int.from_bytes(file.read(8), "little")))


def load(path):
    """Returns (tensors by name, aliases as {dropped: kept}) of a safetensors file, read by the real package."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        metadata = file.metadata()
    assert metadata.pop("format") == "pt"
    return tensors, metadata


def differences(got, expected):
    """Returns the names whose dtype, shape or bits differ."""
    return [
        name
        for name in sorted(got.keys() | expected.keys())
        if name not in got
        or name not in expected
        or (got[name].dtype, got[name].shape) != (expected[name].dtype, expected[name].shape)
        or raw(got[name]) != raw(expected[name])
    ]


def assert_converts(source, expected, *options, target=None):
    """Converts `source`, and asserts that the real safetensors package reads `expected`. Returns the aliases."""
    target = target or source.with_name("converted.safetensors")
    done = run("convert", source, "-o", target, *options)
    assert done.code == YES, done.err
    tensors, aliases = load(target)
    assert not tensors.keys() & aliases.keys()
    assert differences(tensors | {dropped: tensors[kept] for dropped, kept in aliases.items()}, expected) == []
    return aliases


def save_and_load(checkpoint, path, **options):
    """Writes with torch.save and returns the result of torch.load."""
    torch.save(checkpoint, path, **options)
    return torch.load(path, weights_only=False)


def random_bits(dtype, *shape):
    """Returns a tensor with any bit patterns: NaN payloads, -0.0, denormals. bool has 0 and 1 only."""
    if dtype == torch.bool:
        return torch.randint(0, 2, shape, dtype=torch.uint8).to(torch.bool)
    size = torch.empty(0, dtype=dtype).element_size()
    return torch.randint(0, 256, (*shape[:-1], shape[-1] * size), dtype=torch.uint8).view(dtype)
