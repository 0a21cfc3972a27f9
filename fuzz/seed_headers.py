"""Seeds of the safetensors header target: headers, index files, and files that are neither."""

import json
import struct


def safetensors(header, data=b"", padding=0):
    text = (header if isinstance(header, str) else json.dumps(header, separators=(",", ":"))).encode() + b" " * padding
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}


def every_dtype():
    header, at = {}, 0
    for dtype, bits in BITS.items():
        header[dtype.lower()] = entry(dtype, [2, 4], at, at + bits)
        at += bits
    return safetensors(header, bytes(range(256)) * (at // 256 + 1))[
        : 8 + len(json.dumps(header, separators=(",", ":"))) + at
    ]


def headers():
    numbers = bytes(range(120))
    one = entry("F32", [2, 3], 0, 24)
    yield "one", safetensors({"w": one}, numbers[:24])
    yield "two-and-metadata", safetensors(
        {"__metadata__": {"format": "pt", "b": "a"}, "a": one, "c": entry("BF16", [3], 24, 30)}, numbers[:30], padding=3
    )
    yield "empty", safetensors({})
    yield "metadata-only", safetensors({"__metadata__": {}})
    yield "scalar-and-empty", safetensors({"s": entry("I64", [], 0, 8), "e": entry("F16", [0, 4], 8, 8)}, numbers[:8])
    yield "every-dtype", every_dtype()
    yield "three-dimensions", safetensors(
        {"x": entry("I16", [2, 3, 5], 0, 60), "y": entry("U8", [3, 4, 5], 60, 120)}, numbers
    )
    yield "escapes", safetensors(
        '{"\\u00e9\\n\\ud83d\\ude00":{"shape":[1],"dtype":"U8","data_offsets":[0,1]},'
        ' "\\u0000":{"data_offsets":[1,2],"dtype":"I8","shape":[1]}}',
        b"ab",
    )
    yield "as-array", safetensors('{"w":["F32",[1],[0,4]]}', numbers[:4])
    yield "unknown-fields", safetensors(
        '{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":[1e2,-0.5,null,{"a":[true]}]},'
        '"__metadata__":null}',
        numbers[:4],
    )
    yield "unsorted", safetensors({"b": entry("U8", [2], 4, 6), "a": entry("F32", [1], 0, 4)}, numbers[:6])
    yield "hole", safetensors({"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 4, 6)}, numbers[:6])
    yield "twice", safetensors(
        '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        b"a",
    )
    yield "overflow", safetensors({"a": entry("F32", [2**32, 2**32], 0, 4)}, b"aaaa")
    yield "git-lfs", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 134\n"
    yield (
        "index",
        json.dumps(
            {
                "metadata": {"total_size": 24},
                "weight_map": {"a": "model-00001-of-00002.safetensors", "b.c": "sub/model-00002-of-00002.safetensors"},
            },
            indent=2,
        ).encode()
        + b"\n",
    )
    yield (
        "index-raw-metadata",
        b'{"weight_map":{"a":"x.bin"},"metadata":{"total_size":1.5e3,"k":[1,{"v":null}]},"more":0}',
    )
    yield "index-leaves-folder", b'{"weight_map":{"a":"../x.bin"}}'
