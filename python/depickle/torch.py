"""Checkpoints of torch without unpickling: `load` returns what `torch.load` would, and executes nothing.

    state_dict = depickle.torch.load("pytorch_model.bin")

Tensors lie in the mapped file: loading takes as long as reading the table of contents, and writing to them never
changes the file. Nothing that a file names is imported or called. Objects of classes that are not on a closed list (tensors,
parameters, containers, plain values, numpy arrays) come back as `Inert` records.

`install()` puts this loader in the place of `torch.load`, for programs that cannot be changed.
"""

from __future__ import annotations

import functools
import io
import os
import stat
import threading
from collections.abc import Callable
from typing import IO, Any

import torch

from depickle import _core
from depickle._rebind import rebind, undo

__all__ = ["Inert", "install", "load", "uninstall"]

MapLocation = Callable[[Any, str], Any] | torch.device | str | dict[str, str] | None


class Inert:
    """What a file says of an object of an unknown class, or of a name: a record, which does nothing and does not change.

    `args` and `kwargs` are what the class or function would have been called with (`args` is None for a bare name),
    `state` what `__setstate__` or `__dict__` would have been given, `items` and `pairs` what would have been appended
    or set.
    """

    __slots__ = ("module", "name", "args", "kwargs", "state", "items", "pairs", "__weakref__")

    module: str
    name: str
    args: tuple[Any, ...] | None
    kwargs: dict[str, Any] | None
    state: Any
    items: tuple[Any, ...]
    pairs: tuple[tuple[Any, Any], ...]

    def __init__(
        self, module: str, name: str, args: tuple[Any, ...] | None = None, kwargs: dict[str, Any] | None = None
    ) -> None:
        give = functools.partial(object.__setattr__, self)
        give("module", module)
        give("name", name)
        give("args", args)
        give("kwargs", kwargs)
        give("state", None)
        give("items", ())
        give("pairs", ())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an Inert record does not change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("an Inert record does not change")

    def __repr__(self) -> str:
        return f"Inert({self.module}.{self.name})" if self.module else f"Inert({self.name})"


def load(
    f: str | os.PathLike[str] | IO[bytes],
    map_location: MapLocation = None,
    pickle_module: None = None,
    *,
    weights_only: bool | None = True,
    mmap: bool | None = None,
    inert: bool = True,
    **pickle_load_args: Any,
) -> Any:
    """What `torch.load` would return of a file or binary file object, with nothing in it executed.

    A path, or an open file at its first byte, is mapped; of any other object the rest is read. `map_location` is
    torch's. Files that are broken raise pickle.UnpicklingError; with `inert=False`, so do objects of unknown classes.
    `weights_only` and `mmap` may be given and change nothing: it always reads no more than weights, always from a map.
    """
    if pickle_module is not None:
        raise ValueError("pickle_module: nothing is unpickled here, so no module can be used for it")
    encoding = pickle_load_args.pop("encoding", "utf-8")
    if encoding.lower().replace("_", "-") not in ("utf-8", "utf8", "ascii"):
        raise ValueError(f"encoding: strings of Python 2 are read as utf-8 here, not {encoding!r}")
    if pickle_load_args:
        raise TypeError(f"not honoured here: {', '.join(sorted(pickle_load_args))}")

    if isinstance(f, (str, os.PathLike)) and os.fspath(f).endswith(".safetensors"):
        return _load_safetensors(f, map_location)
    source, name = _source_of(f)
    restore, also_of_cpu = _restore(map_location)
    return _core.torch_load(source, name, restore, also_of_cpu, Inert if inert else None)


def _source_of(f: Any) -> tuple[str | int | bytearray, str]:
    """What `_core.torch_load` reads, and what errors call it."""
    if isinstance(f, (str, bytes, os.PathLike)):
        return os.fsdecode(f), ""
    if not hasattr(f, "read"):
        raise AttributeError(f"load needs a path or a binary file object, not {type(f).__name__}")
    name = getattr(f, "name", None)
    name = name.encode("utf-8", "replace").decode() if isinstance(name, str) else f"<{type(f).__name__}>"
    try:
        descriptor = f.fileno()
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and f.tell() == 0 and _is_plain(f):
            return descriptor, name
    except (AttributeError, OSError):  # io.UnsupportedOperation is one
        pass
    content = f.getbuffer()[f.tell() :] if isinstance(f, io.BytesIO) else f.read()
    if isinstance(content, str):
        raise TypeError("load needs a file that is open in binary mode")
    return bytearray(content), name


def _is_plain(f: Any) -> bool:
    """Whether what f reads are its descriptor's bytes: the files of gzip have descriptors too."""
    if type(f).__module__ == "tempfile":
        f = getattr(f, "file", f)
    return isinstance(getattr(f, "raw", f), io.FileIO)


def _restore(map_location: Any) -> tuple[Callable[[Any, str], Any] | None, bool]:
    """`map_location` as (function that moves a storage, whether also those saved from the CPU)."""
    default = torch.serialization.default_restore_location
    if map_location is None:
        return default, False
    if isinstance(map_location, dict):
        return lambda storage, location: default(storage, map_location.get(location, location)), "cpu" in map_location
    if isinstance(map_location, bytes):
        map_location = map_location.decode("ascii")
    if isinstance(map_location, (str, torch.device)):
        place = str(map_location)
        return (None, False) if place == "cpu" else (lambda storage, location: default(storage, place), True)
    if not callable(map_location):
        raise TypeError(f"map_location is a {type(map_location).__name__}: needs a device, a str, a dict or a callable")

    def restore(storage: Any, location: str) -> Any:
        moved = map_location(storage, location)
        return default(storage, location) if moved is None else moved

    return restore, True


def _load_safetensors(f: str | os.PathLike[str], map_location: MapLocation) -> dict[str, Any]:
    from depickle.safetensors.torch import load_file

    if map_location is not None and not isinstance(map_location, (str, torch.device)):
        raise RuntimeError("map_location of a safetensors file is a device or its name")
    return load_file(f, device="cpu" if map_location is None else str(map_location))


_lock = threading.Lock()
_rebound: list[Any] = []
_original = torch.serialization.load


@functools.wraps(_original)
def _replacement(
    f: Any,
    map_location: MapLocation = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    del weights_only, mmap
    return load(f, map_location, pickle_module, inert=False, **pickle_load_args)


def install() -> None:
    """Puts `load` in the place of `torch.load`, in the whole process, also in modules that have it by name.

    It then raises pickle.UnpicklingError for what it cannot build, whatever `weights_only` says, and refuses a
    `pickle_module` or arguments for it by name. Calling it twice is calling it once.
    """
    with _lock:
        if not _rebound:
            _rebound.extend(rebind(torch.serialization.load, _replacement))


def uninstall() -> None:
    """Undoes `install`."""
    with _lock:
        undo(_rebound)
