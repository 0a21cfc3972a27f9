"""Seeds of the targets for receipts, the messages of other processes, and what clients send to the Hub."""

import json
import struct

import xet_format

OID = "0123456789abcdef" * 4


def receipts():
    file = {"file": "model.safetensors", "bytes": 96, "sha256": OID}
    tensor = {"name": "w", "dtype": "F32", "shape": [2, 3], "bytes": 24, "sha256": OID}
    conversion = {
        "sources": [{"file": "pytorch_model.bin", "bytes": 548, "sha256": OID}],
        "target": file,
        "container": "torch zip",
        "root": "state_dict",
        "tensors": [tensor, tensor | {"name": "s", "dtype": "BF16", "shape": [], "bytes": 2}],
        "aliases": [{"name": "b", "kept": "w"}],
        "leftovers": [{"path": "epoch", "description": "int 3"}],
        "skipped": [{"name": "q", "what": "quantized"}],
    }
    receipt = {"schema": "depickle.receipt/1", "tool": {"name": "depickle", "version": "0.1.0"}}
    variants = {
        "none": [],
        "one": [conversion],
        "wrong-size": [conversion | {"tensors": [tensor | {"bytes": 25}]}],
        "no-target": [conversion | {"target": 7}],
    }
    for name, conversions in variants.items():
        yield name, json.dumps(receipt | {"conversions": conversions, "indexes": [file]}).encode()
    yield "other-version", json.dumps(receipt | {"schema": "depickle.receipt/2"}).encode()


def messages():
    """A type byte and a message: zeros are empty texts and lists, and the first value of each enum."""
    for kind in range(8):
        yield f"zeros-{kind}", bytes([kind]) + bytes(256)
        yield f"texts-{kind}", bytes([kind]) + b"".join((3).to_bytes(8, "little") + b"abc" for _ in range(20))
        yield f"too-long-{kind}", bytes([kind]) + b"\xff" * 64


def wire(*values):
    """Texts and lists with their lengths, numbers of 8 bytes; bytes as they are."""
    out = b""
    for value in values:
        if isinstance(value, bytes):
            out += value
        elif isinstance(value, str):
            out += struct.pack("<Q", len(value.encode())) + value.encode()
        elif isinstance(value, list):
            out += struct.pack("<Q", len(value)) + wire(*value)
        else:
            out += struct.pack("<d" if isinstance(value, float) else "<Q", value)
    return out


PHASE, PROGRESS, TENSORS, RESULT, ERROR = (bytes([kind]) for kind in range(5))
NO, YES = b"\0", b"\1"


def row(name, dtype="F32", shape=(2, 3), note=""):
    return wire(name, dtype, [*shape], 24, "a.bin", OID, "identical", note)


def result(json_text="{}", sentence="1 file", answer="yes", problem=NO, merge=NO + wire("", 0, "")):
    return RESULT + wire(1, json_text, sentence, answer, problem, merge, 10, 20)


def failure(code=2, reason=0, message="wrong", offset=NO):
    return ERROR + wire(0, struct.pack("<iBi", code, reason, 5), "TT02", message, "a.bin", "w", offset, "look")


def reports():
    """The first byte selects the request: plan, convert, convert without a pull request, check of 7, inspect."""

    def job(kind, *sent):
        return bytes([kind]) + b"".join(struct.pack("<H", len(message)) + message for message in sent)

    progress = PROGRESS + wire("a.bin", 1, 2, 3.5, YES, 0.25)
    begin = [PHASE + wire("resolve"), PHASE + wire("read"), PROGRESS + wire("", 0, 0, 0.0, NO), progress]
    rows = [TENSORS + wire([row("w"), row("\u00e9\n", "BF16", (), "why")]), TENSORS + wire([row("v")])]
    merge = YES + wire("", 7, OID[:40])
    values = r'{"a":[1,-2.5e+3,true,false,null,"\u00e9\"\\"],"b":{},"c":[[]],"d":"' + "\u00e9" + '"}'
    for kind in range(5):
        yield f"complete-{kind}", job(kind, *begin, *rows, result(values))
    yield "error", job(0, begin[0], failure(offset=YES + wire(7)))
    yield "error-with-hint", job(1, failure(code=6, reason=18))
    yield "error-after-tensors", job(3, *begin, *rows, failure(code=10))
    yield "problem", job(3, result("", "", "no", YES + wire("malformed", "different", "look")))
    yield "merge", job(1, *begin, PHASE + wire("pull request"), result(merge=merge))
    yield "merge-after-check", job(3, result(merge=merge))
    yield "no-merge", job(3, result(merge=NO + wire("closed", 7, "")))
    yield "escapes", job(0, result(sentence="a\x1b[2J\n\u202e", answer="nothing"))
    yield "deep", job(4, result('{"a":' + "[" * 31 + "]" * 31 + "}"))
    yield "after-the-end", job(4, result(), result())
    yield "many-rows", job(4, TENSORS + wire([row("")] * 20), result())


def commits():
    lines = {
        "header": {"summary": "title", "description": "why"},
        "file": {"content": "aGVsbG8=", "path": "a/b.txt", "encoding": "base64"},
        "lfsFile": {"path": "w.bin", "algo": "sha256", "oid": OID, "size": 12},
        "deletedFile": {"path": "old"},
        "deletedFolder": {"path": "dir/"},
        "copyFile": {"path": "to", "srcPath": "from", "srcRevision": "v1"},
    }
    text = {key: json.dumps({"key": key, "value": value}) + "\n" for key, value in lines.items()}
    yield "all", "".join(text.values()).encode()
    for key in lines:
        yield key, (text["header"] + text[key]).encode()
    yield "text", (text["header"] + text["file"].replace("base64", "utf-8")).encode()
    yield "escapes", (text["header"] + text["file"].replace("a/b", "\\u00e9\\n")).encode()
    yield "many", (text["header"] + text["deletedFile"] * 21).encode()
    yield "large", (text["header"] + text["file"].replace("aGVs", "aGVs" * 400)).encode()


def uploads():
    """The first byte says whether a shard (even) or a xorb (odd) follows."""
    segments = [(OID, 100, 0, 3), (OID[::-1], 50, 2, 4)]
    yield "shard", b"\0" + xet_format.shard(xet_format.shard_file(OID, *segments))
    files = xet_format.shard_file(OID, segments[0]), xet_format.shard_file(OID)
    yield "shard-two-files", b"\0" + xet_format.shard(*files)
    yield "shard-too-many", b"\0" + xet_format.shard(xet_format.shard_file(OID, *segments, count=1 << 31))
    yield "xorb", b"\1" + xet_format.chunk(b"stored") + xet_format.chunk(b"again")
    yield "xorb-wrong-size", b"\1" + xet_format.chunk(b"stored", raw=7)
    frame = b"\x04\x22\x4d\x18\x60\x40\x82" + (6).to_bytes(4, "little")[:3] + b"\x80" + b"abcdef" + bytes(4)
    for scheme in (1, 2):
        yield f"xorb-lz4-{scheme}", b"\1" + xet_format.chunk(frame, scheme=scheme, raw=6)


def git_texts():
    yield "pointer", f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize 12345\n".encode()
    yield "pointer-extension", (
        f"version https://git-lfs.github.com/spec/v1\next-0-a sha256:{OID}\noid sha256:{OID}\nsize 1\n".encode()
    )
    rules = "filter=lfs diff=lfs merge=lfs -text\n"
    for name, path, patterns in (
        ("star", "model.bin", ["*.bin"]),
        ("folder", "a.b", ["/a/**/b", "a/*", "?.b", "**"]),
        ("class", "x1.pt", ["[a-z][!5-9].pt", "[[]", "[", "\\\\*"]),
        ("quoted", "with space.bin", ["\"with space.bin\"", "with[[:space:]]space.bin"]),
        ("stars", "a" * 60, ["*a" * 30 + "b"]),
    ):
        yield name, (path + "\n" + "".join(f"{pattern} {rules}" for pattern in patterns)).encode()
    yield "unset", b"x.bin\n*.bin filter=lfs\n# comment\nx.bin -filter\n*.bin !filter\n[attr]binary -diff\n"
