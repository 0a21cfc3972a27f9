"""The cases: which sides are compared, and the goals."""
import dataclasses
import hashlib
import json
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file

import hub
import sides
import upstream
from sides import BYTES, PROGRAM, Call, Fresh, Native, Program


@dataclasses.dataclass
class Goal:
    """`faster`: the peer's time divided by ours is at least `bound`. `within`: our time divided by the peer's is at
    most `bound`. `below`: our time is at most `bound` ms. `touched` selects the samples of both sides."""
    kind: str
    bound: float
    ours: str
    peer: str = ""
    touched: str = ""


@dataclasses.dataclass
class Case:
    name: str
    title: str
    sources: list          # files that must be in the page cache before each sample
    prewarm_bytes: int     # allocated and freed before each sample
    sides: list
    goals: list
    check: object = None   # called once before the first round: all sides read the same tensors


def names_of(path):
    with safe_open(path, "pt") as file:
        return file.keys()


def same_table_as_torch(path):
    tensors = torch.load(path, weights_only=True, mmap=True)
    assert list(sides.table_of(path).items()) == [
        (name, ("F32", list(tensor.shape))) for name, tensor in tensors.items()
    ], path


def same_table_as_safetensors(path):
    with safe_open(path, "pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}
        assert sides.table_of(path) == {
            name: (part.get_dtype(), part.get_shape()) for name, part in slices.items()
        }, path


def open_bin(files, quick):
    path = files["gpt2.bin"]
    load = lambda **options: torch.load(path, weights_only=True, **options)
    return Case(
        "open-bin", "open a .bin and list its tensors", [path], 3 * path.stat().st_size,
        [
            Native(path, 1 if quick else 20),
            Call("torch.load", load),
            Call("torch.load(mmap=True)", lambda: load(mmap=True)),
            Fresh("torch.load, first call", "load", path),
            Native(path, touched=BYTES),
            Call("torch.load", load, touched=BYTES),
            Call("torch.load(mmap=True)", lambda: load(mmap=True), touched=BYTES),
        ],
        [Goal("faster", 400, "depickle", "torch.load"), Goal("faster", 15, "depickle", "torch.load(mmap=True)")],
        lambda: same_table_as_torch(path))


def open_safetensors(files, quick):
    path = files["gpt2.safetensors"]
    return Case(
        "open-safetensors", "open a .safetensors and list its tensors", [path], 64 << 20,
        [
            Native(path, 1 if quick else 50),
            Call("safe_open + keys", lambda: names_of(path), 1 if quick else 50),
            Call("load_file", lambda: load_file(path)),
            Native(path, touched=BYTES),
            Call("load_file", lambda: load_file(path), touched=BYTES),
        ],
        [Goal("faster", 5, "depickle", "safe_open + keys")],
        lambda: same_table_as_safetensors(path))


def open_many(files, quick):
    path = files["many.safetensors"]
    return Case(
        "open-many", "open a header of 100,000 tensors", [path], 256 << 20,
        [Native(path, 1 if quick else 5), Call("safe_open + keys", lambda: names_of(path))],
        [Goal("faster", 10, "depickle", "safe_open + keys")],
        lambda: same_table_as_safetensors(path))


def convert(files, quick):
    path = files["gpt2.bin"]
    ours, cached, copy, theirs, first, synced, whole = (
        path.with_name("out-" + name) for name in ("ours", "cached", "copy", "theirs", "first", "synced", "whole"))
    # Sides that wait for the disk, and sides that do not.
    waiting, not_waiting = "depickle convert", "depickle convert --no-sync"
    peers = {
        "convert.py": not_waiting, "convert.py, first call": not_waiting, "convert.py, first call, + sync": waiting,
        "convert.py, whole program": not_waiting,
    }
    return Case(
        "convert", "convert and compare", [path], 3 * path.stat().st_size,
        [
            Program(waiting, PROGRAM, "convert", path, "-o", ours, output=ours),
            Program(not_waiting, PROGRAM, "convert", path, "-o", cached, "--no-sync", output=cached),
            Program("cp + sync", "sh", "-c", 'cp "$0" "$1" && sync "$1"', path, copy, output=copy, summed=False),
            Call("convert.py", lambda: upstream.convert_file(str(path), str(theirs), []), output=theirs),
            Fresh("convert.py, first call", "convert", path, first, output=first),
            Fresh("convert.py, first call, + sync", "convert_and_sync", path, synced, output=synced),
            Program("convert.py, whole program", sys.executable, upstream.__file__, path, whole, output=whole),
        ],
        [Goal("within", 1.3, waiting, "cp + sync")] + [Goal("faster", 4, like, peer) for peer, like in peers.items()] +
        [Goal("faster", 4, waiting, peer) for peer in ("convert.py", "convert.py, first call")])


def receipt(files, quick):
    path = files["gpt2.bin"]
    output, written = path.with_name("out-receipt"), path.with_name("out-receipt.json")
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()

    def same_digest():
        assert json.loads(written.read_text())["conversions"][0]["sources"][0]["sha256"] == digest, written

    command = [PROGRAM, "convert", path, "-o", output, "--force", "--receipt", written]
    return Case(
        "receipt", "convert and compare, with a receipt", [path], 3 * path.stat().st_size,
        [
            Program("depickle convert --receipt", *command, output=output, check=same_digest),
            Program("openssl dgst -sha256", "openssl", "dgst", "-sha256", path),
        ],
        [Goal("within", 2.5, "depickle convert --receipt", "openssl dgst -sha256")])


def start_up(files, quick):
    path = files["tiny.bin"]
    return Case(
        "start-up", "start of the program", [path], 16 << 20,
        [
            Program("depickle version", PROGRAM, "version", times=10),
            Program("depickle inspect", PROGRAM, "inspect", path, times=10),
            Program("true", "true", times=10),
        ],
        [Goal("below", 4, "depickle version"), Goal("below", 12, "depickle inspect")])


def hub_download(files, quick):
    path = files["random.safetensors"]
    server, kept = hub.stored(path)
    contenders = hub.download_sides(server)
    return Case(
        "hub-download", "download 1 GiB from the Hub", [kept], 2 * path.stat().st_size, contenders,
        [Goal("faster", 1, contenders[0].name, peer.name) for peer in contenders[1:]])


def hub_upload(files, quick):
    path = files["random.safetensors"]
    contenders = hub.upload_sides(path)
    return Case(
        "hub-upload", "upload 1 GiB to the Hub", [path], 2 * path.stat().st_size, contenders,
        [Goal("faster", 1, contenders[0].name, peer.name) for peer in contenders[1:]])


# name → (the function that makes the case, the files that it needs)
CASES = {
    "open-bin": (open_bin, ["gpt2.bin"]),
    "open-safetensors": (open_safetensors, ["gpt2.safetensors"]),
    "open-many": (open_many, ["many.safetensors"]),
    "start-up": (start_up, []),
    "convert": (convert, ["gpt2.bin"]),
    "receipt": (receipt, ["gpt2.bin"]),
    "hub-download": (hub_download, ["random.safetensors"]),
    "hub-upload": (hub_upload, ["random.safetensors"]),
}
GROUPS = {"hub": ["hub-download", "hub-upload"]}
