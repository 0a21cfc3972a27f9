"""Truncated downloads: every prefix of a small file of each kind is refused, and none is `tensors-only`."""
import concurrent.futures
import io

import pytest
import torch
from safetensors.torch import save

import program
from program import COULD_NOT, SANITIZED, YES, run, scan

pytestmark = pytest.mark.hostile

TENSORS = {"w": torch.arange(6.0), "b": torch.ones(2, dtype=torch.bfloat16)}
# If each prefix needs a process, only every STEP-th is tested; with sanitizers, different ones.
STEP = 17 if SANITIZED else 4


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
def prefixes(request, tmp_path):
    """The prefixes as files, shortest first; the last one is the whole file."""
    content = FILES[request.param]()
    paths = [tmp_path / f"{length:05}.bin" for length in range(len(content) + 1)]
    for length, path in enumerate(paths):
        path.write_bytes(content[:length])
    return paths


def some(cut):
    return [*cut[:-1:STEP], cut[-1]]


def each(paths, check):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(check, paths))


def test_no_prefix_is_converted(prefixes, tmp_path):
    *cut, whole = prefixes
    assert run("inspect", whole).code == YES
    cut = some(cut)
    for path, done in zip(cut, each(cut, lambda path: run("convert", path, "-o", path.with_suffix(".safetensors")))):
        program.assert_refused(done, path)
    assert not list(tmp_path.glob("*.safetensors")) and not list(tmp_path.glob(".*"))


def test_no_prefix_is_opened(prefixes):
    *cut, _ = prefixes
    cut = some(cut)
    for path, done in zip(cut, each(cut, lambda path: run("inspect", path))):
        program.assert_refused(done, path)


def test_no_prefix_is_tensors_only(prefixes):
    *cut, whole = prefixes
    code, files = scan(*prefixes)
    assert code == COULD_NOT
    assert files[-1]["verdict"] == "tensors-only"
    assert {file["verdict"] for file in files[:-1]} == {"unreadable"}


def test_the_error_for_a_cut_archive_says_truncated(tmp_path):
    content = saved()
    for length in (100, len(content) // 2, len(content) - 30):
        path = tmp_path / "model.bin"
        path.write_bytes(content[:length])
        program.assert_refused(run("inspect", path), path, "truncated")


def test_changed_bytes_do_not_crash_the_program(tmp_path):
    """Changes single bytes of a small file of each kind: any result is allowed, but no crash."""
    for name, make in FILES.items():
        content = make()
        paths = []
        for position in range(0, len(content), 2 * STEP):
            paths.append(tmp_path / f"{name} {position}")
            paths[-1].write_bytes(
                content[:position] + bytes([content[position] ^ (1 << position % 8)]) + content[position + 1 :]
            )
        each(paths, lambda path: run("inspect", path, "--root", "."))
        scan(*paths)
