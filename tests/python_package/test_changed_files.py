"""Tensors whose file is closed, deleted, replaced, overwritten or truncated."""

import gc
import importlib
import os
import pathlib

import numpy
import pytest
import torch

import fresh
from depickle.safetensors import SafetensorError, safe_open
from depickle.safetensors.numpy import load_file as load_numpy
from depickle.safetensors.torch import load_file, save_file
from saved_model import BACKENDS, TENSORS, path, same  # noqa: F401


def mappings_of(path):
    return sum(str(path) in line for line in pathlib.Path("/proc/self/maps").read_text().splitlines())


@pytest.mark.parametrize("load", [load_file, load_numpy])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_tensor_stays_valid_without_its_file_handle_and_other_tensors(path, load, backend):
    kept = load(path, backend=backend)["layer.3"]
    path.unlink()
    gc.collect()
    assert torch.equal(torch.as_tensor(kept), TENSORS["layer.3"])
    kept[0, 0] = 5  # copy on write
    assert float(kept[0, 0]) == 5
    del kept
    gc.collect()
    assert mappings_of(path) == 0


@pytest.mark.parametrize("framework", ["pt", "np"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_slice_stays_valid_without_its_handle(path, framework, backend):
    with safe_open(path, framework, backend=backend) as file:
        part = file.get_slice("layer.3")[10:20, ::2]
    path.unlink()
    del file
    gc.collect()
    assert torch.equal(torch.as_tensor(part), TENSORS["layer.3"][10:20, ::2])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_replaced_file(path, tmp_path, backend):
    """Open handles read the old file; a new handle reads the new one."""
    with safe_open(path, "pt", backend=backend) as file:
        before = file.get_tensors()
        save_file({name: tensor + 1 for name, tensor in TENSORS.items()}, tmp_path / "new.safetensors")
        os.replace(tmp_path / "new.safetensors", path)
        assert same(before, TENSORS) and same(file.get_tensors(), TENSORS)
    assert torch.equal(load_file(path, backend=backend)["layer.0"], TENSORS["layer.0"] + 1)
    assert same(before, TENSORS)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("framework", ["torch", "numpy"])
def test_a_file_is_overwritten_with_its_own_tensors(path, framework, backend):
    module = importlib.import_module(f"depickle.safetensors.{framework}")
    tensors = module.load_file(path, backend=backend)
    for turn in range(3):
        tensors["layer.5"] += 1
        module.save_file(tensors, path)
        again = load_file(path)
        assert torch.equal(again["layer.5"], TENSORS["layer.5"] + turn + 1)
        assert torch.equal(again["layer.6"], TENSORS["layer.6"])
        assert torch.equal(torch.as_tensor(tensors["layer.6"]), TENSORS["layer.6"])


def test_writing_to_a_tensor_does_not_write_to_its_file(path):
    before = path.read_bytes()
    for tensor in load_file(path).values():
        tensor.zero_()
    load_numpy(path)["layer.1"][:] = 7
    assert path.read_bytes() == before and same(load_file(path), TENSORS)


TRUNCATE = """
    import faulthandler, os, sys
    path, framework, backend, handler = sys.argv[1:]
    faulthandler.enable() if handler == "faulthandler" else faulthandler.disable()
    from depickle.safetensors import safe_open
    file = safe_open(path, framework, backend=backend)
    tensor, part = file.get_tensor("layer.38"), file.get_slice("layer.39")
    os.truncate(path, 5000)

    def assert_fails(read):
        try:
            read()
        except OSError as error:
            assert error.filename == path and ("truncated" in str(error) or "shrank" in str(error)), error
        else:
            raise AssertionError("no error")

    if backend == "mmap":
        # The signal handler's error is raised at one of the next bytecodes.
        assert_fails(lambda: [tensor.sum(), *(None for _ in range(1000))])
        assert tensor[-1, -1] == 0  # the process continues, with zeros for the lost bytes
    for read in (
        lambda: file.get_tensor("layer.39"),
        lambda: file.get_tensors(),
        lambda: part[:],
        lambda: part[3:4],
        lambda: file.get_slice("layer.39")[-3:],
        lambda: file.get_slice("layer.39")[::-1],
    ):
        assert_fails(read)
"""


@pytest.mark.parametrize("handler", ["", "faulthandler"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("framework", ["pt", "np"])
def test_a_file_truncated_while_it_is_open(path, framework, backend, handler):
    """Access to lost bytes raises OSError, also if faulthandler has a handler for SIGBUS."""
    imports = ["torch" if framework == "pt" else "numpy"]
    fresh.assert_runs_silently(TRUNCATE, path, framework, backend, handler, imports=imports)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_closed_handle(path, backend):
    file = safe_open(path, "pt", backend=backend)
    part, tensor = file.get_slice("layer.0"), file.get_tensor("layer.0")
    file.close()
    file.close()
    calls = [file.keys, file.offset_keys, file.metadata, file.get_tensors, lambda: len(file), lambda: "layer.0" in file]
    calls += [lambda: file.get_tensor("layer.0"), lambda: file.get_slice("layer.0")]
    for call in calls:
        with pytest.raises(SafetensorError, match="File is closed"):
            call()
    assert torch.equal(part[:], TENSORS["layer.0"])  # a slice keeps the file open
    assert torch.equal(tensor, TENSORS["layer.0"])


def test_numpy_arrays_are_writable_and_do_not_share_memory(path):
    first, second = load_numpy(path), load_numpy(path)
    first["layer.0"][:] = -1
    assert numpy.array_equal(second["layer.0"], TENSORS["layer.0"].numpy())
