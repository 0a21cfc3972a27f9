"""Loads leak no memory, Python objects, descriptors or mappings, and the extension frees its objects at exit."""
import json

import pytest
import torch

import fresh
from depickle.safetensors.torch import save_file

LOADS = 1_000

# The smallest block of malloc takes 32 bytes, so one leaked block per load is 32,000 bytes.
MAX_GROWTH_BYTES = LOADS * 16

# Memory that does not come from malloc grows by pages: one leaked page per load is 4 MB.
MAX_GROWTH_PAGED_BYTES = 256 << 10

# Python's caches add a few hundred objects per run; one leaked object per load would be 1,000.
MAX_GROWTH_OBJECTS = LOADS // 2

MEASURE = """
    import ctypes, gc, json, mmap, os, pathlib, sys

    import numpy, torch
    import depickle.safetensors.numpy, depickle.safetensors.torch, depickle.torch
    from depickle.safetensors import SafetensorError, safe_open

    path, pickled, broken, kind, loads = sys.argv[1:]
    torch.set_num_threads(1)
    libc = ctypes.CDLL(None)

    class Mallinfo(ctypes.Structure):
        names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
        _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

    libc.mallinfo2.restype = Mallinfo
    libc.malloc.restype = ctypes.c_void_p

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
        "leaked memory": lambda: libc.malloc(1),
        "leaked page": lambda: leaked.append(mmap.mmap(-1, 1, mmap.MAP_PRIVATE)) or leaked[-1].write_byte(1),
        "leaked object": lambda: ctypes.pythonapi.Py_IncRef(ctypes.py_object(object())),
        "leaked descriptor": lambda: os.dup(0),
    }[kind]
    leaked = []

    def measure():
        gc.collect()
        libc.malloc_trim(0)
        allocated = libc.mallinfo2()
        status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
        return {
            "bytes": allocated.uordblks + allocated.hblkhd,
            "paged bytes": int(status["RssAnon"].split()[0]) * 1024,
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


MAX_GROWTH = {
    "bytes": MAX_GROWTH_BYTES,
    "paged bytes": MAX_GROWTH_PAGED_BYTES,
    "objects": MAX_GROWTH_OBJECTS,
    "descriptors": 0,
    "mappings": 2,  # of the allocator
}


def grown(files, kind, loads=LOADS):
    """Returns the resources that grow with the number of loads."""
    growth = json.loads(fresh.fork(MEASURE, *files, kind, loads).stdout)
    assert growth.keys() == MAX_GROWTH.keys()
    return {name: value for name, value in growth.items() if value > MAX_GROWTH[name]}


@pytest.mark.parametrize("kind", KINDS)
def test_resources_do_not_grow_with_the_number_of_loads(files, kind):
    assert grown(files, kind) == {}


LEAKS = {"memory": "bytes", "page": "paged bytes", "object": "objects"}


@pytest.mark.parametrize("leaked", LEAKS)
def test_a_leak_per_load_is_detected(files, leaked):
    assert LEAKS[leaked] in grown(files, f"leaked {leaked}")


def test_a_leaked_descriptor_is_detected(files):
    assert grown(files, "leaked descriptor", loads=10)["descriptors"] == 10


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
    assert "nanobind" not in fresh.fork(EVERYTHING, *files, finalizes=True).stderr


def test_a_leak_at_exit_is_detected(files):
    leaking = EVERYTHING + "\n    import ctypes; ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle))"
    assert "nanobind: leaked" in fresh.fork(leaking, *files, finalizes=True).stderr
