"""What the real loaders would import from a file, without running it.

usage: oracle.py < JSON list of paths > JSON object: path -> list of "module name"

torch.load (from a path and from memory), numpy.load, pickle.load in C and in Python read each file in a process of its
own. Their unpicklers record every global. Known builders of tensors and containers are real, so that the loaders go on
as with a harmless file; everything else is a stand-in that accepts any use and does nothing.
"""
import contextlib
import io
import json
import os
import pickle
import resource
import signal
import sys
import types

import numpy
import torch

TIMEOUT_SECONDS = 10
MEMORY_BYTES = 8 << 30

# (module, name) that may be imported for real. Independent of the list in depickle/scan/closed_list.cpp.
_BUILTINS = "set frozenset list tuple bytearray bytes complex int float str bool slice range object dict".split()
_TORCH_DTYPES = [name for name, value in vars(torch).items() if isinstance(value, torch.dtype)]
_STORAGES = [name for name in dir(torch) if name.endswith("Storage")]
BUILDERS = {
    *(("builtins", name) for name in _BUILTINS),
    *(("torch._utils", name) for name in dir(torch._utils) if name.startswith("_rebuild_")),
    *(("torch", name) for name in (*_TORCH_DTYPES, *_STORAGES, "Size", "device", "Tensor")),
    *(("torch.storage", name) for name in ("TypedStorage", "UntypedStorage")),
    *(("collections", name) for name in ("OrderedDict", "defaultdict", "Counter", "deque")),
    ("torch.nn.parameter", "Parameter"),
    ("torch._tensor", "_rebuild_from_type_v2"),
    ("torch.serialization", "_get_layout"),
    ("torch.torch_version", "TorchVersion"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    ("_codecs", "encode"),
    ("copyreg", "_reconstructor"),
}


class StandIn:
    """Accepts every use of a class, a function or an object."""

    def __new__(cls, *arguments, **keywords):
        return object.__new__(cls)

    def __init__(self, *arguments, **keywords):
        pass

    def __call__(self, *arguments, **keywords):
        return self

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, item):
        pass

    extend = add = append


def recording(base, found):
    """Returns a module like pickle, whose unpicklers record globals in `found`."""

    class Unpickler(base):
        def find_class(self, module, name):
            # As pickle does for protocols 0 to 2 (fix_imports).
            module, name = _python3_name(module, name)
            if (module, name) in BUILDERS:
                return super().find_class(module, name)
            found.add(f"{module} {name}")
            return StandIn

    def load(file, **options):
        return Unpickler(file, **options).load()

    module = types.ModuleType("recording_pickle")
    module.__dict__.update({name: value for name, value in vars(pickle).items() if not name.startswith("__")})
    module.Unpickler, module.load = Unpickler, load
    module.loads = lambda data, **options: load(io.BytesIO(data), **options)
    return module


def _python3_name(module, name):
    module, name = pickle._compat_pickle.NAME_MAPPING.get((module, name), (module, name))
    return pickle._compat_pickle.IMPORT_MAPPING.get(module, module), name


def loaders(path, found):
    """Returns a function for each way to load the file."""
    in_c, in_python = recording(pickle.Unpickler, found), recording(pickle._Unpickler, found)

    def refuse_torchscript(*arguments, **options):
        found.add("TorchScript code")
        raise RuntimeError("TorchScript is not compiled")

    def load_from_bytes(data):
        return torch_load(io.BytesIO(data))

    def torch_load(file):
        return torch.load(file, map_location="cpu", pickle_module=in_c, weights_only=False)

    def numpy_load():
        loaded = numpy.load(path, allow_pickle=True)
        if isinstance(loaded, numpy.lib.npyio.NpzFile):
            for name in loaded.files:
                with contextlib.suppress(Exception):
                    loaded[name]

    torch.jit.load = torch.jit._load_for_lite_interpreter = refuse_torchscript
    torch.storage._load_from_bytes = load_from_bytes
    BUILDERS.add(("torch.storage", "_load_from_bytes"))
    for module in (numpy.lib._format_impl, numpy.lib._npyio_impl):
        module.pickle = in_c
    data = open(path, "rb").read()
    return [
        lambda: torch_load(path),
        lambda: torch_load(io.BytesIO(data)),
        numpy_load,
        lambda: in_c.load(open(path, "rb")),
        lambda: in_python.load(io.BytesIO(data)),
    ]


def imports(path):
    """Returns the globals that loading the file would import, beyond the builders."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        signal.alarm(TIMEOUT_SECONDS)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1), os.dup2(null, 2)
        with open(writing, "w") as out:
            found = set()
            for load in loaders(path, found):
                with contextlib.suppress(BaseException):
                    load()
                # After each loader: a later one may crash.
                out.write(json.dumps(sorted(found)) + "\n")
                out.flush()
        os._exit(0)
    os.close(writing)
    with open(reading) as lines:
        results = lines.read().splitlines()
    os.waitpid(child, 0)
    return json.loads(results[-1]) if results else []


def main():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    json.dump({path: imports(path) for path in json.load(sys.stdin)}, sys.stdout)


if __name__ == "__main__":
    main()
