"""Loads leak no memory, Python objects, descriptors or mappings, and the extension frees its objects at exit."""
import json

import pytest
import torch

import fresh
from depickle.safetensors.torch import save_file

LOADS = 10_000

# Anonymous memory. The smallest block of malloc takes 32 bytes, so one leaked block per load is 320,000 bytes. Without
# a leak, the measured growth was below 30,000 bytes.
MAX_GROWTH_BYTES = 256 << 10

# Python's caches add a few hundred objects per run; one leaked object per load would be 10,000.
MAX_GROWTH_OBJECTS = LOADS // 10

MEASURE = """
    import ctypes, gc, json, os, pathlib, sys

    import numpy, torch
    import depickle.safetensors.numpy, depickle.safetensors.torch, depickle.torch
    from depickle.safetensors import SafetensorError, safe_open, deserialize

    path, pickled, broken, kind, loads = sys.argv[1:]

    def use_handle():
        with safe_open(path, "pt") as file:
            file.keys(), file.offset_keys(), file.metadata(), file.get_tensor("a"), file.get_slice("b")[1:3, ::2]

    def use_handle_without_closing():
        safe_open(path, "np", backend="pread").get_slice("b")[:, 1]

    def load_invalid_file():
        try:
            depickle.safetensors.torch.load_file(broken)
        except SafetensorError as error:
            return str(error)
        raise AssertionError

    def save_tensors():
        depickle.safetensors.torch.save_file({"a": torch.ones(3)}, path + ".new")

    load = {
        "torch": lambda: depickle.safetensors.torch.load_file(path),
        "torch, pread": lambda: depickle.safetensors.torch.load_file(path, backend="pread"),
        "numpy": lambda: depickle.safetensors.numpy.load_file(path),
        "numpy, pread": lambda: depickle.safetensors.numpy.load_file(path, backend="pread"),
        "safe_open": use_handle,
        "safe_open, not closed": use_handle_without_closing,
        "torch.load": lambda: depickle.torch.load(pickled),
        "bytes": lambda: depickle.safetensors.torch.load(depickle.safetensors.torch.save({"a": torch.ones(3)})),
        "invalid": load_invalid_file,
        "save": save_tensors,
    }[kind]

    def measure():
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
        return {
            "bytes": int(status["RssAnon"].split()[0]) * 1024,
            "objects": sys.getallocatedblocks(),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "mappings": len(pathlib.Path("/proc/self/maps").read_text().splitlines()),
        }

    def repeat(count):
        for _ in range(count):
            load()

    repeat(int(loads) // 10)
    measure()
    before = measure()
    repeat(int(loads))
    after = measure()
    print(json.dumps({what: after[what] - before[what] for what in before}))
    """


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaks")
    tensors = {"a": torch.arange(12.0).view(3, 4), "b": torch.ones(50, 20, dtype=torch.float16)}
    tensors["c"] = torch.zeros(3, dtype=torch.int64)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt", "more": "text"})
    torch.save({"state_dict": tensors, "epoch": 3, "names": ["x", ("y", None)]}, folder / "model.bin")
    (folder / "broken.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-1])
    return folder / "model.safetensors", folder / "model.bin", folder / "broken.safetensors"


KINDS = ["torch", "torch, pread", "numpy", "numpy, pread", "safe_open", "safe_open, not closed", "torch.load", "bytes"]
KINDS += ["invalid", "save"]


@pytest.mark.parametrize("kind", KINDS)
def test_resources_do_not_grow_with_the_number_of_loads(files, kind):
    growth = json.loads(fresh.run(MEASURE, *files, kind, LOADS, timeout=300, OMP_NUM_THREADS="1").stdout)
    assert growth["descriptors"] == 0 and growth["objects"] < MAX_GROWTH_OBJECTS, growth
    assert growth["mappings"] <= 2, growth  # the allocator's
    assert growth["bytes"] < MAX_GROWTH_BYTES, growth


EVERYTHING = """
    import io, sys
    import numpy, torch
    import depickle, depickle.torch, depickle.safetensors.numpy, depickle.safetensors.torch
    from depickle.safetensors import SafetensorError, safe_open, serialize, deserialize

    path, pickled, broken = sys.argv[1:]
    kept = depickle.safetensors.torch.load_file(path), depickle.safetensors.numpy.load_file(path)
    kept_too = depickle.torch.load(pickled)
    handle = safe_open(path, "pt")
    part, other = handle.get_slice("b"), safe_open(path, "np", backend="pread").get_slice("b")
    part[1:2], other[..., 1], handle.get_tensors()
    weights = depickle.open(pickled)
    deserialize(depickle.safetensors.torch.save({"a": torch.ones(3)}))
    try:
        depickle.safetensors.torch.load_file(broken)
    except SafetensorError as error:
        kept_error = error
    """


def test_the_extension_frees_its_objects_at_exit(files):
    assert "nanobind" not in fresh.run(EVERYTHING, *files).stderr


def test_a_leak_is_detected(files):
    leaking = EVERYTHING + "\n    import ctypes; ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle))"
    assert "nanobind: leaked" in fresh.run(leaking, *files).stderr
