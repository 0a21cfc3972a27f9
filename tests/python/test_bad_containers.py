"""Files of other formats, archives with wrong headers: each is refused, leaves no file, and is never `tensors-only`."""

import gzip
import json
import struct

import pytest
import torch
from safetensors.torch import save

import pickles
import zips
from program import COULD_NOT, NOTHING_TO_DO, YES, assert_not_converted, assert_refused, run, scan, snapshot, verdict
from tensors import load
from zips import Entry

pytestmark = pytest.mark.hostile

DATA = struct.pack("<6f", *range(6))
PICKLE = pickles.one_tensor()
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 548118077\n"


def write(folder, content, name="model.bin"):
    path = folder / name
    path.write_bytes(content)
    return path


def entries(**changes):
    """Returns the records of a small checkpoint; changes={"data.pkl": {"local": …}} changes one of them."""
    made = [Entry("archive/data.pkl", PICKLE), Entry("archive/data/0", DATA), Entry("archive/version", b"3\n")]
    for entry in made:
        for field, value in changes.get(entry.name.split("/", 1)[1], {}).items():
            setattr(entry, field, value)
    return made


def test_the_unchanged_archive_is_accepted(tmp_path):
    path = write(tmp_path, zips.archive(entries()))
    assert run("convert", path, "-o", tmp_path / "good.safetensors").code == YES
    assert torch.equal(load(tmp_path / "good.safetensors")[0]["w"], torch.arange(6.0).view(2, 3))
    assert verdict(path) == "tensors-only"


@pytest.mark.parametrize("size", [4, 5_000_003], ids=["small", "in many pieces"])
@pytest.mark.parametrize("at", [0, -1], ids=["first byte", "last byte"])
def test_a_damaged_storage_fails_its_checksum(tmp_path, size, at):
    """torch.load accepts it: the checksum in the archive does not match the bytes."""
    tensors = {"whole": torch.arange(size, dtype=torch.uint8), "other": torch.ones(3)}
    torch.save(tensors, tmp_path / "good.pt")
    content = bytearray((tmp_path / "good.pt").read_bytes())
    begin = content.index(bytes(tensors["whole"].numpy()))
    content[begin + at % size] ^= 0x10
    path, target = write(tmp_path, content), tmp_path / "x.safetensors"
    assert not torch.equal(torch.load(path, weights_only=True)["whole"], tensors["whole"])
    assert_not_converted(path, "[ZP12]", 'storage "0" is damaged', str(begin), hint="--no-checksums")
    assert run("convert", path, "-o", target, "--no-checksums").code == YES
    assert torch.equal(load(target)[0]["whole"], torch.load(path, weights_only=True)["whole"])


WRONG_FILES = {
    "empty": (b"", ["empty"], None),
    "git-LFS pointer": (POINTER, ["git-LFS pointer", "548,118,077"], "git lfs pull"),
    "web page": (b"<!DOCTYPE html>\n<html><head><title>404</title></head></html>", ["web page"], ""),
    "web page without doctype": (b"<html lang=en>Not found", ["web page"], ""),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(100), ["7z"], ""),
    "rar": (b"Rar!\x1a\x07\x01\x00" + bytes(100), ["rar"], ""),
    "gzip": (gzip.compress(DATA), ["gzip"], ""),
    "xz": (b"\xfd7zXZ\x00" + bytes(100), ["xz"], ""),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(100), ["zstd"], ""),
    "bzip2": (b"BZh91AY&SY" + bytes(100), ["bzip2"], ""),
    "GGUF": (b"GGUF\x03\0\0\0" + bytes(100), ["GGUF"], None),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), ["HDF5"], None),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(100), [], None),
    "text": (b"abc", [], None),
    "zeros": (bytes(1000), [], None),
    "empty zip": (zips.archive([]), ["zip"], None),
    "zip without data.pkl": (
        zips.archive([Entry("readme.txt", b"hello"), Entry("model.json", b"{}")]),
        ["data.pkl"],
        None,
    ),
}


@pytest.mark.parametrize("content, texts, hint", WRONG_FILES.values(), ids=WRONG_FILES)
def test_a_file_of_another_format_is_named(content, texts, hint, tmp_path):
    path = write(tmp_path, content)
    assert_not_converted(path, *texts, hint=hint)
    assert_refused(run("inspect", path), path, *texts, hint=hint)
    assert verdict(path) == "unreadable"


WRONG_HEADERS = {
    "local name": {"data.pkl": {"local": {"name": "archive/datap.kl"}}},
    "local method": {"data/0": {"local": {"method": zips.DEFLATED}}},
    "local size": {"data/0": {"local": {"usize": 23}}},
    "local crc": {"data/0": {"local": {"crc": 1}}},
    "encrypted": {"data.pkl": {"local": {"flags": 1}, "central": {"flags": 1}}},
    "encrypted, local only": {"data.pkl": {"local": {"flags": 1}}},
    "patched": {"data.pkl": {"local": {"flags": 0x20}, "central": {"flags": 0x20}}},
    "strongly encrypted": {"data.pkl": {"central": {"flags": 0x40}}},
    "masked": {"version": {"central": {"flags": 0x2000}}},
    "offset past the end": {"data/0": {"central": {"offset": 1 << 30}}},
    "offset on nothing": {"data/0": {"central": {"offset": 7}}},
    "same offset twice": {"version": {"central": {"offset": 0, "name": "archive/version"}}},
    "size past the end": {
        "data/0": {"local": {"csize": 1 << 30, "usize": 1 << 30}, "central": {"csize": 1 << 30, "usize": 1 << 30}}
    },
    "overlapping the next record": {
        "data/0": {"local": {"csize": 60, "usize": 60}, "central": {"csize": 60, "usize": 60}}
    },
    "stored with two sizes": {"data/0": {"local": {"usize": 4000}, "central": {"usize": 4000}}},
    "bzip2": {"data/0": {"local": {"method": 12}, "central": {"method": 12}}},
    "deflated to less than declared": {
        "data/0": {"method": zips.DEFLATED, "local": {"usize": 28}, "central": {"usize": 28}}
    },
    "deflated to more than declared": {
        "data/0": {"method": zips.DEFLATED, "local": {"usize": 20}, "central": {"usize": 20}}
    },
    "not deflated": {"data/0": {"local": {"method": 8}, "central": {"method": 8}}},
    "wrong crc": {"data/0": {"local": {"crc": 1}, "central": {"crc": 1}}},
    "NUL in a name": {"version": {"name": "archive/ver\0sion"}},
    "backslash in a name": {"version": {"name": "archive\\version"}},
    "parent folder in a name": {"version": {"name": "archive/../../etc/passwd"}},
    "absolute name": {"version": {"name": "/archive/version"}},
    "name that is not UTF-8": {"version": {"local": {"name": b"archive/\xff"}, "central": {"name": b"archive/\xff"}}},
}


@pytest.mark.parametrize("changes", WRONG_HEADERS.values(), ids=WRONG_HEADERS)
def test_an_archive_with_wrong_headers_is_refused(changes, tmp_path):
    assert_not_converted(write(tmp_path, zips.archive(entries(**changes))))


ARCHIVES = {
    "duplicate name": zips.archive(entries() + [Entry("archive/data/0", DATA[::-1])]),
    "names equal but for case": zips.archive(entries() + [Entry("archive/DATA.PKL", PICKLE)]),
    "storage missing": zips.archive([entry for entry in entries() if "data/0" not in entry.name]),
    "storage short": zips.archive(entries(**{"data/0": {"data": DATA[:-1]}})),
    "storage long": zips.archive(entries(**{"data/0": {"data": DATA + b"\0"}})),
    "no end record": zips.archive(entries())[:-22],
    "two end records": zips.archive(entries()) + zips.end_record(3, 0, 0),
    "directory elsewhere": zips.archive(entries(), end={"offset": 0}),
    "directory past the end": zips.archive(entries(), end={"offset": 1 << 31}),
    "too few entries": zips.archive(entries(), end={"entries": 2}),
    "too many entries": zips.archive(entries(), end={"entries": 60000}),
    "two archives back to back": zips.archive(entries()) + zips.archive(entries(**{"data/0": {"data": DATA[::-1]}})),
    "unknown byteorder": zips.archive(entries() + [Entry("archive/byteorder", b"middle")]),
    "two data.pkl": zips.archive(entries() + [Entry("other/data.pkl", PICKLE)]),
}


@pytest.mark.parametrize("content", ARCHIVES.values(), ids=ARCHIVES)
def test_an_ambiguous_or_broken_archive_is_refused(content, tmp_path):
    assert_not_converted(write(tmp_path, content))


def test_a_wrong_flag_or_name_does_not_hide_code(tmp_path):
    evil = pickles.stream(pickles.call("posix", "system", pickles.text("echo evil")))
    for number, changes in enumerate(
        [
            {"local": {"flags": 1}, "central": {"flags": 1}},
            {"local": {"name": "archive/datap.kl"}},
            {"local": {"crc": 1}, "central": {"crc": 1}},
        ]
    ):
        assert (
            verdict(write(tmp_path, zips.archive(entries(**{"data.pkl": changes | {"data": evil}})), f"{number}.bin"))
            == "has-code"
        )
    doubled = zips.archive(entries() + [Entry("archive/data.pkl", evil)])
    assert verdict(write(tmp_path, doubled, "doubled.bin")) == "has-code"


def test_bytes_outside_all_records_are_reported(tmp_path):
    path = write(tmp_path, zips.archive(entries(), between=b"hidden" * 10))
    done = run("inspect", path, "--json")
    assert done.code == COULD_NOT or any("60" in note for note in done.json["notes"])


def test_a_safetensors_file_needs_no_conversion(tmp_path):
    path = write(tmp_path, save({"a": torch.ones(2)}))  # called model.bin: the content decides, not the name
    before = snapshot(tmp_path)
    done = run("convert", path, "-o", tmp_path / "out.safetensors")
    assert done.code == NOTHING_TO_DO and "safetensors" in done.out + done.err
    assert snapshot(tmp_path) == before
    assert verdict(path) == "tensors-only"


def test_a_name_cannot_control_the_terminal(tmp_path):
    bomb = "\x1b]0;owned\x07\u202e"
    path = write(tmp_path, zips.checkpoint(pickles.one_tensor(name=bomb), [DATA]), "\x1b[31m.bin")
    for arguments in (
        ["inspect", path],
        ["scan", path],
        ["convert", path, "-o", tmp_path / "out.safetensors", "--dry-run"],
        ["inspect", tmp_path / "\x1b[31mgone"],
    ):
        done = run(*arguments)
        assert "\x1b" not in done.out + done.err and "\u202e" not in done.out + done.err
    assert json.loads(run("inspect", path, "--json").out)["tensors"][0]["name"] == bomb


def test_scan_reports_each_file(tmp_path):
    good, bad = write(tmp_path, zips.archive(entries()), "good"), write(tmp_path, b"", "bad")
    code, files = scan(good, bad)
    assert code == COULD_NOT
    assert [file["verdict"] for file in files] == ["tensors-only", "unreadable"] and files[1]["error"]
