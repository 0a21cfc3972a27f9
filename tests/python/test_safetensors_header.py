"""Randomly changed headers: the reference mode and the real library accept the same files and read the same tensors."""
import collections
import json
import os
import random
import re

import pytest

from safetensors_verdict import ask, ask_real, tensors

pytestmark = pytest.mark.hostile

SEED = int(os.environ.get("DEPICKLE_TEST_SEED", "20261124"))
COUNT = 2000
BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}
NAMES = [
    "a", "b", "model.layers.0.weight", "", "é", "😀", "quote\"", "back\\slash", "tab\t", "nul\0", "dtype",
    "__metadata__\0", "a" * 40, "x/y", "\u2028",
]
NUMBERS = [
    "0", "1", "4", "-0", "-1", "00", "01", "1.0", "1.", ".5", "1e0", "1E+2", "1e", "1e-999", "0e999", "1e308", "1e309",
    "17976931348623157e292", "1.7976931348623158e308", "2e308", "-1e309", "18446744073709551615",
    "18446744073709551616", "9223372036854775808", "-9223372036854775809", "9" * 308, "9" * 310,
    "1" + "0" * 400 + "e-400", "0." + "0" * 400 + "1e500", "0.1844674407370955161599e310",
    "18446744073709551615.99e290", "184467440737095516159.0e289", "123456789012345678901234567890.5e279",
    "1e99999999999", "0e99999999999", "1e-99999999999", "2147483647e2147483647", "1e+", "+1", "1_0", "0x1", "NaN",
    "Infinity",
]
VALUES = [
    "null", "true", "false", "nul", "True", "\"\"", "\"F32\"", "\"f32\"", "\"\\u0046\\u0033\\u0032\"", "[]", "{}",
    "[1,]", "{\"a\":1,}", "{\"F32\":null}", "{\"F32\":{}}", "{\"F32\":null,\"I32\":null}", "{\"a\":1,\"a\":2}",
    "[" * 125 + "]" * 125, "[" * 126 + "]" * 126, "{\"x\":" * 125 + "1" + "}" * 125, "{\"x\":" * 126 + "1" + "}" * 126,
    "\"\\ud83d\\ude00\"", "\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83dx\"", "\"\\ud83d\\u0041\"", "\"\\uD83\"", "\"\\x41\"",
    "\"\\/\\b\\f\\n\\r\\t\"", "\"\x01\"", "\"\x7f\"", "[[1],[0,4]]", "[\"F32\",[1],[0,4]]", "[0,4]", "[4,0]", "[0,4,4]",
    "[0]",
] + NUMBERS
BLANKS = ["", " ", "\n", "\t", "\r", "  \r\n", "\v", "\f", "\u00a0", "\0", "/**/", "\ufeff"]


def text(value, chance):
    """Returns a string as JSON, sometimes with unnecessary escapes."""
    if chance.random() < 0.8:
        return json.dumps(value, ensure_ascii=chance.random() < 0.5)
    return '"' + "".join(f"\\u{unit:04x}" for unit in memoryview(value.encode("utf-16-le")).cast("H")) + '"'


def valid(chance):
    """Returns (the members of a header as pairs of texts, the size of the data) of a file that every reader accepts."""
    members, offset = [], 0
    for name in chance.sample(NAMES, chance.randrange(5)):
        dtype = chance.choice(list(BITS))
        shape = [chance.choice([0, 1, 2, 3, 8, 8]) for _ in range(chance.randrange(4))]
        if BITS[dtype] < 8:
            shape.append(8)
        count = 1
        for dimension in shape:
            count *= dimension
        end = offset + count * BITS[dtype] // 8
        fields = [
            f'"dtype":"{dtype}"',
            f'"shape":{json.dumps(shape, separators=(",", ":"))}',
            f'"data_offsets":[{offset},{end}]',
        ]
        if chance.random() < 0.15:
            fields.append(f'"extra":{chance.choice(VALUES)}')
        if chance.random() < 0.15:
            chance.shuffle(fields)
        value = (
            "{" + ",".join(fields) + "}"
            if chance.random() < 0.95
            else f'["{dtype}",{json.dumps(shape)},[{offset},{end}]]'
        )
        members.append((text(name, chance), value))
        offset = end
    if chance.random() < 0.3:
        chance.shuffle(members)
    if chance.random() < 0.4:
        metadata = {chance.choice("abc") + str(k): chance.choice(NAMES) for k in range(chance.randrange(3))}
        members.insert(
            chance.randrange(len(members) + 1),
            (text("__metadata__", chance), chance.choice([json.dumps(metadata)] * 200 + VALUES)),
        )
    return members, offset


def mutated_members(members, chance):
    """Changes a header by its structure."""
    members = list(members)
    kind = chance.randrange(6)
    if kind == 0 and members:
        members.append(chance.choice(members))
    elif kind == 1 and members:
        members.pop(chance.randrange(len(members)))
    elif members:
        at = chance.randrange(len(members))
        key, value = members[at]
        if kind == 2:
            value = chance.choice(VALUES)
        elif kind == 3:
            numbers = list(re.finditer(r"(?<=[\[,])\d+", value))
            if numbers:
                found = chance.choice(numbers)
                value = (
                    value[: found.start()]
                    + chance.choice(NUMBERS + ["2", "8", str(1 << 63), str((1 << 64) - 1), str(1 << 62)])
                    + value[found.end() :]
                )
        elif kind == 4:
            tokens = list(re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|\d+', value))
            found = chance.choice(tokens) if tokens else None
            if found:
                value = (
                    value[: found.start()]
                    + chance.choice(
                        ["", found.group() * 2, chance.choice(VALUES), chance.choice(BLANKS) + found.group()]
                    )
                    + value[found.end() :]
                )
        else:
            key = text(chance.choice(NAMES), chance)
        members[at] = key, value
    return members


def mutated_bytes(header, chance):
    """Changes a header byte by byte."""
    header = bytearray(header)
    for _ in range(chance.randrange(1, 3)):
        at = chance.randrange(len(header) + 1)
        kind = chance.randrange(4)
        if kind == 0 and at < len(header):
            header[at] = chance.choice([chance.randrange(256), ord(chance.choice('"{}[]:,0123456789.eE-\\u \n'))])
        elif kind == 1:
            header[at:at] = bytes(
                [chance.choice([chance.randrange(256), ord(chance.choice('"{}[]:,0123456789.eE-\\u \n'))])]
            )
        elif kind == 2:
            del header[at:at + chance.randrange(1, 4)]
        else:
            other = chance.randrange(len(header) + 1)
            header[at:at] = header[other:other + chance.randrange(1, 12)]
    return bytes(header)


def draw(chance):
    members, data_bytes = valid(chance)
    kind = chance.random()
    for _ in range(chance.randrange(1, 3) if 0.3 < kind < 0.6 else 0):
        members = mutated_members(members, chance)
    header = ("{" + ",".join(f"{key}:{value}" for key, value in members) + "}").encode("utf-8", "surrogatepass")
    if 0.57 < kind < 0.85:
        header = mutated_bytes(header, chance)
    if kind > 0.82:
        header = chance.choice(BLANKS).encode() + header + chance.choice(BLANKS).encode() * chance.randrange(3)
    length, data_bytes = len(header), max(0, data_bytes + chance.choice([0] * 60 + [1, -1, 8]))
    if chance.random() < 0.02:
        length += chance.choice([-1, 1, 8, 1 << 40, 1 << 63])
    return (length % (1 << 64)).to_bytes(8, "little") + header + chance.randbytes(data_bytes)


def repeats_a_name(content):
    """Returns whether a tensor's name occurs twice in a valid JSON header. Only depickle refuses that."""
    length = int.from_bytes(content[:8], "little")
    found = []
    try:
        json.loads(content[8:8 + length], object_pairs_hook=lambda pairs: found.append(pairs) or pairs)
    except (ValueError, RecursionError):
        return False
    names = collections.Counter(name for name, _ in found[-1]) if found else {}
    return any(count > 1 for name, count in names.items() if name != "__metadata__")


@pytest.mark.parametrize("part", range(3))
def test_mutated_headers_get_the_verdict_of_the_real_library(tmp_path, part):
    chance = random.Random(SEED + part)
    contents = [draw(chance) for _ in range(COUNT)]
    paths = [tmp_path / f"{k}.safetensors" for k in range(COUNT)]
    for path, content in zip(paths, contents):
        path.write_bytes(content)
    ours, real = ask("reference", paths), ask_real(paths)

    accepted = 0
    for content, our, their in zip(contents, ours, real, strict=True):
        if repeats_a_name(content):
            assert not our["accept"] and our["rule"], content
            continue
        if isinstance(their, str):
            assert not our["accept"], f"the real library refuses: {their}\n{content}"
            assert our["rule"].startswith("ST"), our
            continue
        assert our["accept"], f"the real library accepts it, depickle: {our['error']}\n{content}"
        assert tensors(our) == {name: tuple(tensor) for name, tensor in their[0].items()}, content
        assert our["metadata"] == their[1], content
        accepted += 1
    # The comparison is only meaningful with enough files of both kinds.
    assert COUNT // 4 < accepted < COUNT * 3 // 4, accepted


def test_strict_mode_accepts_nothing_that_the_reference_mode_refuses(tmp_path):
    chance = random.Random(SEED)
    paths = [tmp_path / f"{k}.safetensors" for k in range(COUNT)]
    for path in paths:
        path.write_bytes(draw(chance))
    for reference, strict in zip(ask("reference", paths), ask("strict", paths), strict=True):
        assert reference["accept"] or not strict["accept"]
        if strict["accept"]:
            assert strict == reference
