"""Truncated downloads: every prefix of a small file of each kind is refused, and none is `tensors-only`."""
import io

import pytest
import torch
from safetensors.torch import save

import program
from program import COULD_NOT, YES, run, scan

pytestmark = pytest.mark.hostile

TENSORS = {"w": torch.arange(6.0), "b": torch.ones(2, dtype=torch.bfloat16)}


def saved(**options):
    buffer = io.BytesIO()
    torch.save(TENSORS, buffer, **options)
    return buffer.getvalue()


FILES = {
    "zip": lambda: saved(),
    "zip protocol 4": lambda: saved(pickle_protocol=4),
    "legacy": lambda: saved(_use_new_zipfile_serialization=False),
    "legacy protocol 5": lambda: saved(_use_new_zipfile_serialization=False, pickle_protocol=5),
    "safetensors": lambda: save(TENSORS),
}


@pytest.fixture(params=FILES)
def content(request):
    return FILES[request.param]()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


# A sandboxed process for each of thousands of files would take minutes.
ONE_PROCESS = ("--no-sandbox",)


def write_prefixes(content, lengths, folder):
    """Writes the prefixes of these lengths, and returns their paths."""
    paths = [folder / f"{length:05}.bin" for length in lengths]
    for length, path in zip(lengths, paths):
        path.write_bytes(content[:length])
    return paths


def write_changed(content, folder):
    """Writes the file once for each byte, with one bit of it changed, and returns the paths."""
    paths = [folder / f"{position:05}.bin" for position in range(len(content))]
    for position, path in enumerate(paths):
        byte = bytes([content[position] ^ (1 << position % 8)])
        path.write_bytes(content[:position] + byte + content[position + 1:])
    return paths


def convert_folder(folder, *options):
    """Converts all files of a folder in one process. Returns the report."""
    done = run("convert", folder, "-o", folder.with_name("converted"), "--json", *ONE_PROCESS, *options)
    assert done.out, done.err
    return done.json


def test_the_whole_file_is_accepted(content, tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    assert run("inspect", path).code == YES
    code, (file,) = scan(path)
    assert code == YES and file["verdict"] == "tensors-only"


def test_no_prefix_is_converted(content, folder):
    paths = write_prefixes(content, range(len(content)), folder)
    report = convert_folder(folder)
    assert report["files"] == [] and report["already"] == []
    # The first 8 bytes may be too few to detect the format; then the file is skipped.
    assert all(int(file["file"].removesuffix(".bin")) <= 8 for file in report["left"]), report["left"]
    refused = [file["file"] for file in report["failed"] + report["left"]]
    assert sorted(refused) == [path.name for path in paths]
    assert all(file["error"].startswith(f"{folder / file['file']}: ") for file in report["failed"])
    assert not folder.with_name("converted").exists() and sorted(folder.iterdir()) == paths


def test_no_prefix_is_tensors_only(content, folder):
    code, files = scan(*write_prefixes(content, range(len(content)), folder), options=ONE_PROCESS)
    assert code == COULD_NOT
    assert {file["verdict"] for file in files} == {"unreadable"}


def test_the_error_for_a_prefix_names_the_file(content, folder):
    lengths = sorted({0, 1, *range(0, len(content), len(content) // 8), len(content) - 1})
    paths = write_prefixes(content, lengths, folder)
    for path in paths:
        program.assert_refused(run("inspect", path), path)
        program.assert_refused(run("convert", path, "-o", path.with_suffix(".safetensors")), path)
    assert sorted(folder.iterdir()) == paths


def test_the_error_for_a_cut_archive_says_truncated(tmp_path):
    content = saved()
    for length in (100, len(content) // 2, len(content) - 30):
        path = tmp_path / "model.bin"
        path.write_bytes(content[:length])
        program.assert_refused(run("inspect", path), path, "truncated")


def test_changed_bytes_do_not_crash_the_program(content, folder):
    """Changes single bytes: any result is allowed, but no crash."""
    paths = write_changed(content, folder)
    scan(*paths, options=ONE_PROCESS)
    convert_folder(folder, "--root", ".", "--no-sync")
