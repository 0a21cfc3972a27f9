"""Nothing grows with the number of loads: memory, Python objects, descriptors, mappings; and nothing of the extension outlives its interpreter."""
import json

import pytest
import torch

import fresh
from depickle.safetensors.torch import save_file

LOADS = 10_000

# Of memory that is no file's. The least that malloc hands out costs 32 bytes: a load that leaked one such piece would have grown by 320,000.
# What the allocators themselves wander by was below 30,000.
BOUND_BYTES = 256 << 10

# Python's own caches make a few hundred in the course of a run; one leaked per load would be 10,000.
BOUND_OBJECTS = LOADS // 10

MEASURE = """
    import ctypes, gc, json, os, pathlib, sys

    import numpy, torch
    import depickle.safetensors.numpy, depickle.safetensors.torch, depickle.torch
    from depickle.safetensors import SafetensorError, safe_open, deserialize

    path, pickled, broken, kind, loads = sys.argv[1:]

    def through_a_handle():
        with safe_open(path, "pt") as file:
            file.keys(), file.offset_keys(), file.metadata(), file.get_tensor("a"), file.get_slice("b")[1:3, ::2]

    def through_a_handle_without_closing():
        safe_open(path, "np", backend="pread").get_slice("b")[:, 1]

    def refused():
        try:
            depickle.safetensors.torch.load_file(broken)
        except SafetensorError as error:
            return str(error)
        raise AssertionError

    def saved():
        depickle.safetensors.torch.save_file({"a": torch.ones(3)}, path + ".new")

    load = {
        "torch": lambda: depickle.safetensors.torch.load_file(path),
        "torch, pread": lambda: depickle.safetensors.torch.load_file(path, backend="pread"),
        "numpy": lambda: depickle.safetensors.numpy.load_file(path),
        "numpy, pread": lambda: depickle.safetensors.numpy.load_file(path, backend="pread"),
        "safe_open": through_a_handle,
        "safe_open, not closed": through_a_handle_without_closing,
        "torch.load": lambda: depickle.torch.load(pickled),
        "bytes": lambda: depickle.safetensors.torch.load(depickle.safetensors.torch.save({"a": torch.ones(3)})),
        "refused": refused,
        "saved": saved,
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

    def times(count):
        for _ in range(count):
            load()

    times(int(loads) // 10)
    measure()
    before = measure()
    times(int(loads))
    after = measure()
    print(json.dumps({what: after[what] - before[what] for what in before}))
    """


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaks")
    tensors = {"a": torch.arange(12.0).view(3, 4), "b": torch.ones(50, 20, dtype=torch.float16), "c": torch.zeros(3, dtype=torch.int64)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt", "more": "words"})
    torch.save({"state_dict": tensors, "epoch": 3, "names": ["x", ("y", None)]}, folder / "model.bin")
    (folder / "broken.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-1])
    return folder / "model.safetensors", folder / "model.bin", folder / "broken.safetensors"


KINDS = ["torch", "torch, pread", "numpy", "numpy, pread", "safe_open", "safe_open, not closed", "torch.load", "bytes", "refused", "saved"]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_grows_with_the_number_of_loads(files, kind):
    grown = json.loads(fresh.run(MEASURE, *files, kind, LOADS, timeout=300, OMP_NUM_THREADS="1").stdout)
    assert grown["descriptors"] == 0 and grown["objects"] < BOUND_OBJECTS, grown
    assert grown["mappings"] <= 2, grown  # of the allocator's own
    assert grown["bytes"] < BOUND_BYTES, grown


EVERYTHING = """
    import io, sys
    import numpy, torch
    import depickle, depickle.torch, depickle.safetensors.numpy, depickle.safetensors.torch
    from depickle.safetensors import SafetensorError, safe_open, serialize, deserialize

    path, pickled, broken = sys.argv[1:]
    kept = depickle.safetensors.torch.load_file(path), depickle.safetensors.numpy.load_file(path), depickle.torch.load(pickled)
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


def test_the_extension_leaves_nothing_behind(files):
    assert "nanobind" not in fresh.run(EVERYTHING, *files).stderr


def test_what_it_would_leave_behind_would_be_seen(files):
    leaking = EVERYTHING + "\n    import ctypes; ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle))"
    assert "nanobind: leaked" in fresh.run(leaking, *files).stderr
